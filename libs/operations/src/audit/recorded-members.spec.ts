import fc from 'fast-check';
import { OPERATION_TABLE } from '../table';
import type { Constraint } from '../wire/constraints';
import { membersOf } from '../wire/fields';
import { requestParametersOf, responseElementsOf } from './recorded-members';

const SECRETS = ['GrantToken', 'GrantTokens', 'TokenCode', 'SecretAccessKey', 'SessionToken'];

/** A request with every member that its class has, and what of it must never be seen again. */
interface Filled {
  request: object;
  secrets: Buffer[];
  plain: string[];
}

function filled(requestClass: new () => object, bytes: () => Buffer): Filled {
  const secrets: Buffer[] = [];
  const plain: string[] = [];
  const value = (constraint: Constraint, name: string): unknown => {
    const drawn = bytes();
    const text = drawn.toString('hex');
    const hidden = SECRETS.includes(name) || ('sensitive' in constraint && constraint.sensitive === true);
    switch (constraint.kind) {
      case 'blob':
        secrets.push(drawn);
        return drawn;
      case 'string':
      case 'enum':
        if (hidden) secrets.push(Buffer.from(text));
        else plain.push(text);
        return text;
      case 'strings':
      case 'enums':
        if (hidden) secrets.push(Buffer.from(text));
        else plain.push(text);
        return [text];
      case 'stringMap':
        plain.push(text);
        return { [text]: text };
      case 'stringLists':
        plain.push(text);
        return { [text]: [text] };
      case 'structure':
        return Object.fromEntries(
          Object.entries(constraint.members ?? { Anything: { constraint: { kind: 'blob' } as const } }).map(
            ([member, rule]) => [member, value(rule.constraint, member)],
          ),
        );
      case 'structures':
        return [
          Object.fromEntries(
            Object.entries(constraint.members).map(([member, rule]) => [member, value(rule.constraint, member)]),
          ),
        ];
      case 'integer':
        return 7;
      case 'boolean':
        return true;
    }
  };
  const request = new requestClass();
  for (const [name, { constraint }] of membersOf(requestClass))
    Object.assign(request, { [name]: value(constraint, name) });
  return { request, secrets, plain };
}

const shapesOf = (secret: Buffer): string[] => [
  secret.toString('base64'),
  secret.toString('base64url'),
  secret.toString('hex'),
  secret.toString('latin1'),
  [...secret].join(','),
];

describe.each([...OPERATION_TABLE.values()].map(({ name, request }) => [name, request] as const))(
  'of a request of %s with every member there is',
  (_name, request) => {
    test('no blob, token or secret is recorded, in whatever shape, and all else is', () => {
      const bytes = fc.uint8Array({ minLength: 16, maxLength: 48 });
      fc.assert(
        fc.property(fc.infiniteStream(bytes), (stream) => {
          const { request: whole, secrets, plain } = filled(request, () => Buffer.from(stream.next().value));
          const recorded = JSON.stringify(requestParametersOf(whole));
          for (const secret of secrets) for (const shape of shapesOf(secret)) expect(recorded).not.toContain(shape);
          for (const text of plain) expect(recorded).toContain(text);
        }),
        { numRuns: 20 },
      );
    });
  },
);

test('the operations have blobs and grant tokens to look for', () => {
  const names = [...OPERATION_TABLE.values()].flatMap(({ request }) => [...membersOf(request).keys()]);
  expect(names).toEqual(expect.arrayContaining(['Plaintext', 'CiphertextBlob', 'GrantTokens', 'GrantToken']));
});

test('names have a small first letter, and nothing is recorded as nothing', () => {
  const { request } = OPERATION_TABLE.get('Encrypt')!;
  const given = { KeyId: 'k', EncryptionContext: { Patient: 'Ann' }, Plaintext: Buffer.from('x') };
  expect(requestParametersOf(Object.assign(new request(), given))).toEqual({
    keyId: 'k',
    encryptionContext: { Patient: 'Ann' },
  });
  expect(requestParametersOf(new request())).toBeNull();
  expect(requestParametersOf(undefined)).toBeNull();
});

test('of a reply tokens and secrets are left out, however deep', () => {
  const reply = {
    GrantId: 'g',
    GrantToken: 'not this',
    AccessKey: { AccessKeyId: 'AKIA', SecretAccessKey: 'nor this' },
    Credentials: [{ SessionToken: 'nor this', Expiration: 1 }],
  };
  expect(responseElementsOf(reply)).toEqual({
    grantId: 'g',
    accessKey: { accessKeyId: 'AKIA' },
    credentials: [{ expiration: 'Jan 1, 1970, 12:00:01 AM' }],
  });
  expect(responseElementsOf({})).toBeNull();
  expect(responseElementsOf({ GrantToken: 'not this' })).toBeNull();
});
