import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { KmsModel, ModelledOperation, Shape } from './kms-model';

/** As in a service-2.json of botocore. */
interface ServiceModel {
  operations: Record<string, { input?: { shape: string }; errors?: { shape: string }[] }>;
  shapes: Record<string, ServiceShape>;
}

interface ServiceShape extends Omit<Shape, 'member' | 'members'> {
  member?: { shape: string };
  members?: Record<string, { shape: string }>;
}

const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

const shapesOf = (members: ServiceShape['members'] = {}): Record<string, string> =>
  sorted(Object.fromEntries(Object.entries(members).map(([name, { shape }]) => [name, shape])));

function factsOf({ type, min, max, pattern, enum: values, sensitive, member, members, required }: ServiceShape): Shape {
  return {
    type,
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
    ...(pattern !== undefined && { pattern }),
    ...(values && { enum: values }),
    ...(sensitive && { sensitive }),
    ...(member && { member: member.shape }),
    ...(members && { members: shapesOf(members) }),
    ...(required && { required: [...required].sort() }),
  };
}

function extract({ operations, shapes }: ServiceModel): KmsModel {
  const used: Record<string, Shape> = {};
  const use = (name: string): void => {
    if (used[name]) return;
    const facts = factsOf(shapes[name]!);
    used[name] = facts;
    if (facts.member) use(facts.member);
    for (const member of Object.values(facts.members ?? {})) use(member);
  };
  const found = Object.entries(operations).map(([name, { input, errors = [] }]): [string, ModelledOperation] => {
    const { members, required = [] } = input ? shapes[input.shape]! : {};
    const named = shapesOf(members);
    for (const shape of Object.values(named)) use(shape);
    return [
      name,
      { input: { members: named, required: [...required].sort() }, errors: errors.map(({ shape }) => shape).sort() },
    ];
  });
  return { operations: sorted(Object.fromEntries(found)), shapes: sorted(used) };
}

const SDK_TYPES = join(dirname(require.resolve('@aws-sdk/client-kms/package.json')), 'dist-types');

/** Operations that the SDK has and the model has not: their errors are in the comments of the SDK's types. */
function operationsOfSdk(known: KmsModel): Record<string, ModelledOperation> {
  const requests = readFileSync(join(SDK_TYPES, 'models/models_0.d.ts'), 'utf8');
  const found: Record<string, ModelledOperation> = {};
  for (const file of readdirSync(join(SDK_TYPES, 'commands'))) {
    const [, name] = /^(\w+)Command\.d\.ts$/.exec(file) ?? [];
    if (name === undefined || known.operations[name]) continue;
    const types = readFileSync(join(SDK_TYPES, 'commands', file), 'utf8');
    const errors = [...types.matchAll(/@throws \{@link (\w+)\}/g)].map(([, code]) => code!);
    const begin = requests.indexOf(`interface ${name}Request {`);
    const body = requests.slice(begin, requests.indexOf('\n}', begin));
    const members: Record<string, string> = {};
    const required: string[] = [];
    for (const [, member, optional] of body.matchAll(/^ {4}(\w+)(\??): /gm)) {
      members[member!] = knownShape(member!, known) ?? 'Unknown';
      if (optional === '') required.push(member!);
    }
    found[name] = {
      input: { members: sorted(members), required: required.sort() },
      errors: errors.filter((code) => code !== 'KMSServiceException').sort(),
      ofSdkOnly: true,
    };
  }
  return found;
}

const knownShape = (member: string, { operations }: KmsModel): string | undefined =>
  Object.values(operations).find(({ input }) => input.members[member])?.input.members[member];

const [source = '', target = ''] = process.argv.slice(2);
const model = extract(JSON.parse(readFileSync(source, 'utf8')) as ServiceModel);
const operations = sorted({ ...model.operations, ...operationsOfSdk(model) });
writeFileSync(target, `${JSON.stringify({ operations, shapes: model.shapes }, undefined, 2)}\n`);
