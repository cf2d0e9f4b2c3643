import { KmsError } from '#domain/errors';
import { KMS_MODEL, type Shape } from '../../../../test/conformance/kms-model';
import { OPERATION_TABLE } from '../table';
import { type Constraint, memberPath } from './constraints';
import { decodeRequest } from './decode';
import { membersOf } from './fields';

/** Where AWS itself answers by other bounds than those of its model. */
const AS_ANSWERED: Readonly<Record<string, Partial<Shape>>> = {
  // "If you include a value, it must be between 7 and 30, inclusive": API reference of ScheduleKeyDeletion, and its errors.
  PendingWindowInDaysType: { min: 7, max: 30 },
};

const shapeOf = (name: string): Shape => ({ ...KMS_MODEL.shapes[name]!, ...AS_ANSWERED[name] });

const served = Object.entries(KMS_MODEL.operations).filter(
  ([name, { ofSdkOnly }]) => OPERATION_TABLE.get(name)?.service === 'kms' && !ofSdkOnly,
);

const matches = (shape: Shape, text: string): boolean =>
  shape.pattern === undefined || new RegExp(`^(?:${shape.pattern})$`).test(text);

/** A text of that length which keeps the pattern, where there is one. */
const textOf = (shape: Shape, length: number): string | undefined =>
  ['a'.repeat(length), 'A'.repeat(length), `${'a'.repeat(Math.max(0, length - 4))}-a-1`].find(
    (text) => text.length === length && matches(shape, text),
  );

const blobOf = (length: number): string => Buffer.alloc(length, 'secret').toString('base64');

/** In the smallest form that is right. */
function validOf(name: string): unknown {
  const shape = shapeOf(name);
  switch (shape.type) {
    case 'string': {
      if (shape.enum) return shape.enum[0];
      const { min = 0, max = 64 } = shape;
      for (let length = min; length <= max; length++) {
        const text = textOf(shape, length);
        if (text !== undefined) return text;
      }
      throw new Error(`no text for ${name}`);
    }
    case 'integer':
      return shape.min ?? 0;
    case 'boolean':
      return false;
    case 'timestamp':
      return 1_800_000_000.5;
    case 'blob':
      return blobOf(shape.min ?? 1);
    case 'list':
      return shape.min ? [validOf(shape.member!)] : [];
    case 'map':
      return {};
    case 'structure':
      return validMembers(shape.members!, shape.required);
  }
}

const validMembers = (members: Record<string, string>, required: readonly string[] = []): Record<string, unknown> =>
  Object.fromEntries(required.map((name) => [name, validOf(members[name]!)]));

interface Case {
  what: string;
  value: unknown;
  /** Of the error; absent where the value is right. */
  code?: string;
  /** What its message says, besides the member. */
  says?: string[];
}

const invalid = (what: string, value: unknown, ...says: string[]): Case => ({
  what,
  value,
  code: 'ValidationException',
  says,
});

const wrongType = (value: unknown): Case => ({
  what: `${JSON.stringify(value)}, which is of another type`,
  value,
  code: 'SerializationException',
});

/** What a value of the shape may be and what not. `inList`: how AWS tells of one that is in a list. */
function casesOf(name: string): Case[] {
  const shape = shapeOf(name);
  const { min, max, pattern } = shape;
  const cases: Case[] = [];
  switch (shape.type) {
    case 'string': {
      if (shape.enum) {
        for (const value of shape.enum) cases.push({ what: value, value });
        cases.push(invalid('no value of the set', 'nonsense', 'Member must satisfy enum value set: [', ...shape.enum));
      }
      if (min) cases.push(tooShort('', min));
      if (max !== undefined) {
        const [longest, longer] = [textOf(shape, max), textOf(shape, max + 1)];
        if (longest !== undefined) cases.push({ what: 'the longest', value: longest });
        if (longer !== undefined)
          cases.push(invalid('one that is longer', longer, `Member must have length less than or equal to ${max}`));
      }
      if (min) {
        const shortest = textOf(shape, min);
        if (shortest !== undefined) cases.push({ what: 'the shortest', value: shortest });
      }
      if (pattern !== undefined) {
        const length = Math.max(1, min ?? 1);
        const broken = ['!', ' ', '\u2028'].map((mark) => mark.repeat(length)).find((text) => !matches(shape, text))!;
        cases.push(
          invalid('what breaks the pattern', broken, `Member must satisfy regular expression pattern: ${pattern}`),
        );
      }
      return [...cases, wrongType(1), wrongType(true), wrongType(['a'])];
    }
    case 'integer':
      if (min !== undefined) {
        cases.push({ what: 'the least', value: min });
        cases.push(
          invalid('less', min - 1, `Value '${min - 1}' at`, `Member must have value greater than or equal to ${min}`),
        );
      }
      if (max !== undefined) {
        cases.push({ what: 'the most', value: max });
        cases.push(
          invalid('more', max + 1, `Value '${max + 1}' at`, `Member must have value less than or equal to ${max}`),
        );
      }
      return [...cases, wrongType('1'), wrongType({})];
    case 'blob':
      if (min) {
        cases.push({ what: 'the shortest', value: blobOf(min) });
        cases.push(tooShort(blobOf(min - 1), min));
      }
      if (max !== undefined) {
        cases.push({ what: 'the longest', value: blobOf(max) });
        cases.push(
          invalid('one that is longer', blobOf(max + 1), `Member must have length less than or equal to ${max}`),
        );
      }
      return [...cases, wrongType(1), wrongType('***')];
    case 'list': {
      const item = shapeOf(shape.member!);
      if (max !== undefined) {
        cases.push({ what: 'the longest', value: Array(max).fill(validOf(shape.member!)) });
        const longer = Array(max + 1).fill(validOf(shape.member!));
        cases.push(invalid('one that is longer', longer, `Member must have length less than or equal to ${max}`));
      }
      if (item.type === 'string') {
        cases.push({ what: 'an item', value: [validOf(shape.member!)] });
        const all = [
          ...casesOf(shape.member!).filter(({ code }) => code === 'ValidationException'),
          { value: null, says: [] },
        ];
        for (const { value, says = [] } of all) {
          const rules = [...says, 'Member must not be null'];
          cases.push(
            invalid(
              `the item ${JSON.stringify(value)?.slice(0, 20)}`,
              [value],
              'Member must satisfy constraint: [',
              ...rules,
            ),
          );
        }
      }
      return [
        ...cases,
        wrongType('a'),
        wrongType({}),
        wrongType([1]),
        ...(item.type === 'string' ? [wrongType([{}])] : []),
      ];
    }
    case 'boolean':
      return [{ what: 'true', value: true }, wrongType('true'), wrongType(1)];
    case 'timestamp':
      return [{ what: 'a whole number', value: 1_800_000_000 }, wrongType(true), wrongType(1e300)];
    case 'map':
      return [{ what: 'a pair', value: { a: 'b' } }, wrongType('a'), wrongType(['a']), wrongType({ a: 1 })];
    case 'structure':
      return [wrongType('a'), wrongType(['a'])];
  }
}

const tooShort = (value: string, min: number): Case =>
  invalid('one that is shorter', value, `Member must have length greater than or equal to ${min}`);

/** A structure that is not looked into. */
const isRefusedWhole = (constraint: Constraint): boolean => constraint.kind === 'structure' && !constraint.members;

interface Place {
  /** As messages name it. */
  path: string;
  shape: string;
  required: boolean;
  /** The request in which the value is there. */
  put(value: unknown): Record<string, unknown>;
}

/** Every place of a request that has a value, those within structures too, as far as they are checked. */
function placesOf(operation: string): Place[] {
  const { members, required } = KMS_MODEL.operations[operation]!.input;
  const rules = membersOf(OPERATION_TABLE.get(operation)!.request);
  return Object.entries(members).flatMap(([name, shape]) => {
    const place: Place = {
      path: memberPath(name),
      shape,
      required: required.includes(name),
      put: (value) => ({ ...validMembers(members, required), [name]: value }),
    };
    const constraint = rules.get(name)?.constraint;
    if (constraint && isRefusedWhole(constraint)) return [place];
    return [place, ...placesWithin(place)];
  });
}

function placesWithin(outer: Place): Place[] {
  const shape = shapeOf(outer.shape);
  const inList = shape.type === 'list';
  const inner = inList ? shapeOf(shape.member!) : shape;
  if (inner.type !== 'structure') return [];
  const { members = {}, required = [] } = inner;
  return Object.entries(members).map(([name, innerShape]) => ({
    path: `${outer.path}${inList ? '.1.member' : ''}.${memberPath(name)}`,
    shape: innerShape,
    required: required.includes(name),
    put: (value) => {
      const structure = { ...validMembers(members, required), [name]: value };
      return outer.put(inList ? [structure] : structure);
    },
  }));
}

function answerTo(operation: string, request: object): { code: string; message: string } | undefined {
  try {
    decodeRequest(OPERATION_TABLE.get(operation)!.request, Buffer.from(JSON.stringify(request)));
    return undefined;
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    return { code: error.code, message: error.message };
  }
}

test('the model is the one of the operations that are served', () => {
  expect(served.length).toBeGreaterThan(30);
  for (const [name, operation] of OPERATION_TABLE) {
    if (operation.service === 'kms') expect(Object.keys(KMS_MODEL.operations)).toContain(name);
  }
});

test.each(served)(
  '%s has the members that the model gives it, and asks for those that it requires',
  (name, { input }) => {
    const rules = membersOf(OPERATION_TABLE.get(name)!.request);
    const taken = [...rules].flatMap(([member, { constraint }]) =>
      isRefusedWhole(constraint) && !input.members[member] ? [] : [member],
    );
    expect(taken.sort()).toEqual(Object.keys(input.members));
    expect([...rules].flatMap(([member, { required }]) => (required ? [member] : [])).sort()).toEqual(input.required);
  },
);

const places = served.flatMap(([operation]) =>
  placesOf(operation).map((place): [string, string, Place] => [operation, place.path, place]),
);

test.each(places)(
  '%s takes at %s what the model allows, and says what is wrong with all else',
  (operation, path, place) => {
    const shape = shapeOf(place.shape);
    for (const { what, value, code, says = [] } of casesOf(place.shape)) {
      const answer = answerTo(operation, place.put(value));
      expect([what, answer?.code]).toEqual([what, code]);
      if (!answer) continue;
      if (code === 'ValidationException') expect(answer.message).toMatch(/^\d+ validation errors? detected: Value /);
      for (const text of [`at '${path}`, ...says]) expect(answer.message).toContain(text);
      if (shape.type === 'blob' || shape.sensitive) expect(answer.message).not.toMatch(/secret|c2VjcmV0/);
    }
  },
);

test.each(places.filter(([, , { required }]) => required))('%s does not do without %s', (operation, path, place) => {
  const shown = shapeOf(place.shape).sensitive ? '' : 'null ';
  for (const value of [null, undefined]) {
    expect(answerTo(operation, place.put(value))).toEqual({
      code: 'ValidationException',
      message: `1 validation error detected: Value ${shown}at '${path}' failed to satisfy constraint: Member must not be null`,
    });
  }
});

test('what is wrong in several members is told of in one message', () => {
  const wrong = Object.fromEntries(
    Object.keys(KMS_MODEL.operations['CreateKey']!.input.members).map((name) => [name, '']),
  );
  const { message } = answerTo('CreateKey', {
    ...wrong,
    BypassPolicyLockoutSafetyCheck: false,
    MultiRegion: false,
    Tags: [{ TagKey: '', TagValue: '' }],
  })!;
  expect(message.match(/Value '[^']*' at '[\w.]+' failed to satisfy constraint: /g)).toHaveLength(
    Number(/^\d+/.exec(message)![0]),
  );
  for (const path of [
    'keySpec',
    'keyUsage',
    'origin',
    'policy',
    'customKeyStoreId',
    'xksKeyId',
    'tags.1.member.tagKey',
  ]) {
    expect(message).toContain(`Value '' at '${path}' failed to satisfy constraint: Member must `);
  }
});
