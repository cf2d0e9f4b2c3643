import { KmsError } from '#domain/errors';
import { rootCaller } from '../../../test/support/root-caller';
import { type DataPorts, data, MaterialNotLoaded, type PlanePorts } from './operation';
import { runOperation } from './run-operation';
import { OPERATION_TABLE } from './table';
import { decodeRequest } from './wire/decode';
import { membersOf, Optional, Required } from './wire/fields';

const SECRET = Buffer.from('a plaintext that nobody is to find in memory');
const { request } = OPERATION_TABLE.get('Encrypt')!;
const body = (more: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ KeyId: 'k', Plaintext: SECRET.toString('base64'), ...more }));
const call = {
  ...{ requestId: 'request-1', operation: 'Encrypt', now: () => '2026-01-01T00:00:00.000Z' },
  resolveCaller: () => rootCaller('us-east-1', '000000000000'),
};
const grantTokens: PlanePorts['grantTokens'] = {} as PlanePorts['grantTokens'];
const serving: PlanePorts['serving'] = { assertHeld() {}, begin: () => ({ assertNotOver() {}, end() {} }) };

/** What each try saw of the plaintext, and the buffer itself. */
async function plaintextOf(outcome: (tries: number) => unknown, wasBehind?: DataPorts['wasBehind']) {
  const saw: string[] = [];
  let buffer: Uint8Array = Buffer.alloc(0);
  const operation = data<{ Plaintext: Buffer }, unknown>({
    name: 'Encrypt',
    request: request as new () => { Plaintext: Buffer },
    run: ({ Plaintext }) => {
      buffer = Plaintext;
      saw.push(Plaintext.toString());
      return outcome(saw.length);
    },
  });
  const ports = { projection: { position: 1 }, loadBackingKey: async () => {}, wasBehind } as unknown as DataPorts;
  const { error } = await runOperation(operation, body(), call, { data: ports, serving, grantTokens }, () => {});
  return { saw, buffer, error };
}

const fail = (error: Error): never => {
  throw error;
};

test.each<[string, (tries: number) => unknown, string | undefined]>([
  ['is encrypted', () => ({}), undefined],
  ['is refused', () => fail(new KmsError('DisabledException', 'no')), 'DisabledException'],
  ['meets a fault', () => fail(new Error('of ours')), 'KMSInternalException'],
])('a plaintext is gone once it %s', async (_, outcome, code) => {
  const { saw, buffer, error } = await plaintextOf(outcome);
  expect([saw, error]).toEqual([[SECRET.toString()], code]);
  expect(buffer).toEqual(Buffer.alloc(SECRET.length));
});

test('a plaintext whose call is begun anew is there until the last try is over', async () => {
  const loaded = await plaintextOf((tries) => (tries < 3 ? fail(new MaterialNotLoaded('arn', 'id')) : {}));
  const denied = await plaintextOf(
    () => fail(new KmsError('AccessDeniedException', 'no')),
    async () => true,
  );
  expect([loaded.saw, denied.saw]).toEqual([Array(3).fill(SECRET.toString()), Array(2).fill(SECRET.toString())]);
  for (const { buffer } of [loaded, denied]) expect(buffer).toEqual(Buffer.alloc(SECRET.length));
});

test.each([{ EncryptionAlgorithm: 'none' }, { EncryptionAlgorithm: 7 }])(
  'a plaintext in a request that cannot be read is gone too: %j',
  (wrong) => {
    let read: Uint8Array | undefined;
    class Watched extends request {}
    Object.defineProperty(Watched.prototype, 'Plaintext', {
      get: () => read,
      set: (value: Buffer) => {
        read = value;
      },
    });
    for (const [name, { constraint, required }] of membersOf(request)) {
      (required ? Required : Optional)(constraint)(Watched.prototype, name);
    }
    expect(() => decodeRequest(Watched, body(wrong))).toThrow();
    expect(read).toEqual(Buffer.alloc(SECRET.length));
  },
);

test('every plaintext that any request brings is one of these', () => {
  const blobs = [...OPERATION_TABLE.values()].flatMap((operation) =>
    [...membersOf(operation.request)].flatMap(([member, { constraint }]) =>
      constraint.kind === 'blob' ? [`${operation.name} ${member} ${constraint.sensitive === true}`] : [],
    ),
  );
  expect(blobs.sort()).toEqual([
    'Decrypt CiphertextBlob false',
    'Encrypt Plaintext true',
    'GenerateMac Message true',
    'ReEncrypt CiphertextBlob false',
    'Sign Message true',
    'Verify Message true',
    'Verify Signature false',
    'VerifyMac Mac false',
    'VerifyMac Message true',
  ]);
});
