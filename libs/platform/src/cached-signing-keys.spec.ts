import { CachedSigningKeys, type SigningKeys, type SigningScope } from './signing-keys';

const SCOPE: SigningScope = { accessKeyId: 'ASIASESSION', date: '20261124', region: 'us-east-1', service: 'kms' };
const EXPIRES = 1_000;

let asked: SigningScope[];
let now: number;
let keys: CachedSigningKeys;

beforeEach(() => {
  asked = [];
  now = 0;
  const source: SigningKeys = {
    identify: (scope) => {
      asked.push(scope);
      if (scope.sessionToken === 'forged') return undefined;
      const expiresAt = scope.sessionToken === undefined ? undefined : EXPIRES;
      return { account: '000000000000', principalId: 'root', signingKey: Buffer.alloc(32, asked.length), expiresAt };
    },
  };
  keys = new CachedSigningKeys(source, () => now);
});

test('a signing key is asked for once for each scope and each session token', () => {
  const scopes = [
    { ...SCOPE },
    { ...SCOPE, sessionToken: 'one' },
    { ...SCOPE, sessionToken: 'two' },
    { ...SCOPE, sessionToken: 'one', service: 'sts' },
  ];
  const first = scopes.map((scope) => keys.identify(scope));
  expect(new Set(first).size).toBe(4);
  expect(scopes.map((scope) => keys.identify({ ...scope }))).toEqual(first);
  expect(asked).toHaveLength(4);
});

test('a token that is not ours is asked about each time', () => {
  for (let time = 0; time < 3; time++) expect(keys.identify({ ...SCOPE, sessionToken: 'forged' })).toBeUndefined();
  expect(asked).toHaveLength(3);
});

test("a session's signing key ends with the session, though it is kept", () => {
  const scope = { ...SCOPE, sessionToken: 'one' };
  now = EXPIRES - 1;
  expect(keys.identify(scope)).toBeDefined();
  expect(keys.identify(scope)).toBeDefined();
  now = EXPIRES;
  expect(() => keys.identify(scope)).toThrow(expect.objectContaining({ code: 'ExpiredTokenException' }));
  expect(asked).toHaveLength(1);
});

test('no more than 2,000 signing keys are kept', () => {
  for (let at = 0; at <= 2_000; at++) keys.identify({ ...SCOPE, accessKeyId: `AKIA${at}` });
  keys.identify({ ...SCOPE, accessKeyId: 'AKIA2000' });
  expect(asked).toHaveLength(2_001);
  keys.identify({ ...SCOPE, accessKeyId: 'AKIA0' });
  expect(asked).toHaveLength(2_002);
});

test('no more than 16 million characters of session tokens are kept', () => {
  const tokens = ['a', 'b', 'c'].map((letter) => letter.repeat(6_000_000));
  for (const sessionToken of tokens) keys.identify({ ...SCOPE, sessionToken });
  keys.identify({ ...SCOPE, sessionToken: tokens[2] });
  expect(asked).toHaveLength(3);
  keys.identify({ ...SCOPE, sessionToken: tokens[0] });
  expect(asked).toHaveLength(4);
});
