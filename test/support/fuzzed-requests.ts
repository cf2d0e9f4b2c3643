import fc from 'fast-check';
import type { Operation } from '#operations/operation';
import type { Constraint } from '#operations/wire/constraints';
import { memberPath } from '#operations/wire/constraints';
import { membersOf } from '#operations/wire/fields';

export const FUZZ_SEED = 20_261_130;

/** Values of every JSON type, and those that break careless code. */
const wild = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    null,
    '',
    0,
    -1,
    2 ** 31,
    1e308,
    -1e308,
    0.1,
    true,
    [],
    {},
    [null],
    [[]],
    '\ud800',
    '\0',
    '__proto__',
  ),
  fc.constantFrom(
    'a'.repeat(9_000),
    'arn:aws:kms:::',
    'alias/',
    'alias/aws/a',
    'mrk-',
    '*',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a policy variable, where none belongs.
    '${aws:username}',
    '../../..',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constant(JSON.parse('{"__proto__":{"a":1},"constructor":{"prototype":1}}') as unknown),
);

const text = (known: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(fc.constantFrom(...known), fc.string({ maxLength: 20 }), fc.constantFrom('root', 'default', 'a', '{}'));

/** Of the type that the constraint asks for, and mostly within its bounds. */
function near(constraint: Constraint, known: readonly string[]): fc.Arbitrary<unknown> {
  switch (constraint.kind) {
    case 'enum':
      return fc.constantFrom(...constraint.values);
    case 'enums':
      return fc.array(fc.constantFrom(...constraint.values), { maxLength: 3 });
    case 'string':
      return text(known);
    case 'strings':
      return fc.array(text(known), { maxLength: 3 });
    case 'integer':
      return fc.integer({ min: (constraint.min ?? 0) - 1, max: (constraint.max ?? 100) + 1 });
    case 'boolean':
      return fc.boolean();
    case 'timestamp':
      return fc.double({ noNaN: true });
    case 'blob':
      return fc.oneof(
        fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('base64')),
        fc.constantFrom(...known),
        fc.tuple(fc.constantFrom(...known), fc.nat(), fc.nat(255)).map(flipped),
      );
    case 'stringMap':
      return fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 3 });
    case 'stringLists':
      return fc.dictionary(fc.string({ maxLength: 5 }), fc.array(fc.string({ maxLength: 5 }), { maxLength: 3 }), {
        maxKeys: 3,
      });
    case 'structures':
      return fc.array(membersNear(constraint.members, known), { maxLength: 3 });
    case 'structure':
      return constraint.members ? membersNear(constraint.members, known) : fc.jsonValue({ maxDepth: 1 });
  }
}

/** One byte of a blob changed. */
function flipped([base64, at, by]: [string, number, number]): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length > 0) bytes[at % bytes.length]! ^= by;
  return bytes.toString('base64');
}

const membersNear = (
  members: Readonly<Record<string, { constraint: Constraint }>>,
  known: readonly string[],
): fc.Arbitrary<object> =>
  fc.record(
    Object.fromEntries(
      Object.entries(members).map(([name, { constraint }]) => [
        name,
        fc.oneof({ weight: 9, arbitrary: near(constraint, known) }, { weight: 1, arbitrary: wild }),
      ]),
    ),
    { requiredKeys: [] },
  );

/** Bodies of requests for the operation, from noise to nearly right; `known`: texts and blobs that mean something. */
export function bodyOf({ request }: Operation, known: readonly string[]): fc.Arbitrary<Buffer> {
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value) ?? '');
  return fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.jsonValue().map(json) },
    { weight: 1, arbitrary: fc.tuple(fc.json(), fc.nat(40)).map(([text, end]) => Buffer.from(text.slice(0, end))) },
    { weight: 12, arbitrary: membersNear(Object.fromEntries(membersOf(request)), known).map(json) },
  );
}

/** Errors that are about the form of the request: of the others, the code itself says what was wrong, or the value does. */
const OF_FORM = ['ValidationException', 'SerializationException', 'ValidationError'];

/** Sentences of AWS's own that call a member otherwise. */
const AWS_SENTENCES = [
  /^Alias must start with the prefix/,
  /contains invalid characters for an alias$/,
  /^Aliases must refer to keys/,
  /^The request body/,
];

/** Whether the message of a refusal says which member it is about. */
export function namesField({ request }: Operation, code: string, message: string): boolean {
  if (!OF_FORM.includes(code) || AWS_SENTENCES.some((sentence) => sentence.test(message))) return true;
  const said = message.toLowerCase().replace(/[^a-z0-9]/g, '');
  return [...membersOf(request).keys()].some((name) => {
    const path = memberPath(name);
    return (
      message.includes(`at '${path}`) ||
      said.includes(name.toLowerCase()) ||
      said.includes(name.toLowerCase().replace(/s$/, ''))
    );
  });
}
