import { connect, type NatsConnection } from 'nats';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import { KmsError } from '#domain/errors';
import { INTERNAL } from '#domain/subjects';
import type { Timer } from '#views/due-times';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { serveGrantTokens } from './grant-tokens';
import { ask, fireRemotely, RemoteMaterialCustodian, serveMaterials, serveTimers } from './internal-requests';
import { ServedRequests } from './served-requests';
import { serveWorkerCommands } from './worker-commands';

const KEY = { region: 'us-east-1', account: '000000000000', aggregate: 'key', id: 'key-1' } as const;
const TIMER: Timer = { kind: 'Deletion', ref: KEY, deadline: '2026-01-01T00:00:00.000Z' };
const USER = { region: 'global', account: '000000000000', aggregate: 'principal', id: 'user:ann' };
const COMMAND = {
  ref: USER,
  command: { type: 'DeleteAccessKey', accessKeyId: 'AKIA1' },
  origin: { principal: 'ann', requestId: 'r', operation: 'DeleteAccessKey', now: '2026-01-01T00:00:00.000Z' },
  checkedAt: 1,
};
const IMPORT = {
  ...COMMAND,
  ref: KEY,
  command: {
    type: 'ImportKeyMaterial',
    materialId: 'a'.repeat(64),
    storedAs: `${'a'.repeat(64)}-1`,
    importType: 'NEW_KEY_MATERIAL',
    description: 'safe 1',
    validTo: '2026-01-01T00:00:00.000Z',
    publicKey: 'MAA=',
  },
};
const CLAIMS = { grantId: 'a', keyArn: 'arn', position: 1, requestId: 'r' };

let server: TestNats;
let nats: NatsConnection;
let asked: unknown[];
let fire: (timer: Timer) => Promise<boolean>;
let logged: unknown[];

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  const served = new ServedRequests(nats, () => {});
  const onError = (error: unknown): void => void logged.push(error);
  const note = async (...question: unknown[]) => {
    asked.push(question);
    return undefined;
  };
  serveMaterials(served, { create: note, destroy: note }, async () => {}, onError);
  serveTimers(
    served,
    (timer) => fire(timer),
    async () => {},
    onError,
  );
  serveWorkerCommands(
    served,
    async (...command) => {
      asked.push(command);
      return { position: 7 };
    },
    onError,
  );
  serveGrantTokens(served, new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH)), onError);
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

beforeEach(() => {
  asked = [];
  logged = [];
  fire = async (timer) => {
    asked.push(timer);
    return true;
  };
});

test('what services ask each other arrives as it was asked', async () => {
  const materials = new RemoteMaterialCustodian(nats);
  await materials.create('arn', 'material-1', 'HMAC_224');
  await materials.destroy(KEY, 'material-1');
  expect(await fireRemotely(nats, TIMER)).toBe(true);
  expect(await ask(nats, INTERNAL.workerCommand, COMMAND)).toEqual({ position: 7 });
  const { ref, command, origin, checkedAt } = COMMAND;
  expect(asked).toEqual([
    ['arn', 'material-1', 'HMAC_224'],
    [KEY, 'material-1'],
    TIMER,
    [ref, command, origin, checkedAt],
  ]);
  await ask(nats, INTERNAL.workerCommand, IMPORT);
  expect(asked.at(-1)).toEqual([IMPORT.ref, IMPORT.command, IMPORT.origin, IMPORT.checkedAt]);
  expect(await ask(nats, INTERNAL.grantToken, CLAIMS)).toEqual(expect.any(String));
});

const { timerFire, materialCreate, materialDestroy, workerCommand, grantToken } = INTERNAL;
const OTHER = { type: 'DeleteUser' };

test.each<[string, string, unknown, string]>([
  ['a timer of no kind', timerFire, { ...TIMER, kind: 'Other' }, 'kind'],
  ['a timer without a deadline', timerFire, { ...TIMER, deadline: undefined }, 'deadline'],
  ['a timer with a deadline that is no time', timerFire, { ...TIMER, deadline: 'soon' }, 'deadline'],
  ['a timer of what is no key', timerFire, { ...TIMER, ref: USER }, 'aggregate'],
  ['a timer of all keys', timerFire, { ...TIMER, ref: { ...KEY, id: '>' } }, 'id'],
  ['a timer that is none', timerFire, [], 'question'],
  ['material without an id', materialCreate, { keyArn: 'arn' }, 'materialId'],
  ['material whose id is several tokens', materialCreate, { keyArn: 'arn', materialId: 'a.b' }, 'materialId'],
  ['material of no key spec', materialCreate, { keyArn: 'arn', materialId: 'a', keySpec: 'AES_256' }, 'keySpec'],
  ['material of no key', materialDestroy, { materialId: 'a' }, 'ref'],
  [
    'material of an account that is no text',
    materialDestroy,
    { ref: { ...KEY, account: 1 }, materialId: 'a' },
    'account',
  ],
  ['another command', workerCommand, { ...COMMAND, command: OTHER }, 'type'],
  ['a command on a grant', workerCommand, { ...COMMAND, ref: { ...KEY, aggregate: 'grant' } }, 'aggregate'],
  ['another command on a key', workerCommand, { ...COMMAND, ref: KEY }, 'type'],
  [
    'an import of no material',
    workerCommand,
    { ...IMPORT, command: { ...IMPORT.command, materialId: 'a' } },
    'materialId',
  ],
  [
    'an import to several places',
    workerCommand,
    { ...IMPORT, command: { ...IMPORT.command, storedAs: 'a.b' } },
    'storedAs',
  ],
  ['an import to no date', workerCommand, { ...IMPORT, command: { ...IMPORT.command, validTo: 'soon' } }, 'validTo'],
  ['an import of no type', workerCommand, { ...IMPORT, command: { ...IMPORT.command, importType: 'x' } }, 'importType'],
  [
    'an import described at length',
    workerCommand,
    { ...IMPORT, command: { ...IMPORT.command, description: 'x'.repeat(257) } },
    'description',
  ],
  [
    'an import with no key for one',
    workerCommand,
    { ...IMPORT, command: { ...IMPORT.command, publicKey: '-' } },
    'publicKey',
  ],
  ['a command of nobody', workerCommand, { ...COMMAND, origin: { ...COMMAND.origin, principal: '' } }, 'principal'],
  ['a command checked nowhere', workerCommand, { ...COMMAND, checkedAt: 'then' }, 'checkedAt'],
  ['a grant token without a position', grantToken, { ...CLAIMS, position: -1 }, 'position'],
])('%s is refused by the name of what is wrong, and nothing is done', async (_what, subject, question, member) => {
  const refused = expect.objectContaining({
    code: 'ValidationException',
    message: expect.stringMatching(new RegExp(`^${member}: expected `)),
  });
  await expect(ask(nats, subject, question)).rejects.toEqual(refused);
  expect(asked).toEqual([]);
  // No part of Keytrail that is in order asks that.
  expect(logged).toEqual([refused]);
});

test.each([
  ['that others came first is an answer, not an error', new KmsError('ConcurrentModification', 'first'), false],
  ['that the log is out of reach is an error', new KmsError('DependencyTimeoutException', 'late'), true],
  ['what nobody foresaw is an error', new Error('unforeseen'), true],
])('%s', async (_what, failure, isError) => {
  fire = () => Promise.reject(failure);
  await expect(fireRemotely(nats, TIMER)).rejects.toThrow(KmsError);
  expect(logged).toEqual(isError ? [failure] : []);
});

test('what is no JSON is refused', async () => {
  const reply = (await nats.request(timerFire, '{')).json<{ error: { code: string } }>();
  expect(reply.error.code).toBe('ValidationException');
});

test('a timer whose firing is not answered is fired again', async () => {
  let lost = () => {};
  fire = (timer) => {
    asked.push(timer);
    if (asked.length > 1) return Promise.resolve(false);
    return new Promise<boolean>((resolve) => {
      lost = () => resolve(true);
    });
  };
  expect(await fireRemotely(nats, TIMER, 100)).toBe(false);
  lost();
  expect(asked).toEqual([TIMER, TIMER]);
});
