import { AttestationVerifier } from '#crypto/attestation/attestation-verifier';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import { rootArn, userArn } from '#domain/arn';
import { accessKeyMaterialId } from '#domain/principal/access-key-material-id';
import { accountRef, userRef } from '#domain/principal/principal-id';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { MaterialVault } from '#hsm/material-vault';
import { MemoryMaterialStore } from '#hsm/memory-material-store';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import type { SessionClaims } from '#operations/caller';
import type { Call } from '#operations/operation';
import { deriveSigningKey } from '#sigv4/signing-key';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { NO_CLUSTERS, NO_KEY_STORES } from '../../../test/support/no-key-stores';
import { rootCaller } from '../../../test/support/root-caller';
import { AccessKeys } from './access-keys';
import { Accounts } from './accounts';
import { CryptoWorker } from './crypto-worker';
import { Imports } from './imports';
import { KeyManager } from './key-manager';
import { UNTRACKED } from './last-uses';
import { SecretSigningKeys } from './secret-signing-keys';
import { CachedSigningKeys } from './signing-keys';
import { WorkerCommands } from './worker-commands';

const ACCOUNT = '000000000000';
const OTHER = '111122223333';
const NOW = Date.parse('2026-01-01T00:00:00.000Z');
const DAY_MS = 86_400_000;
const BOB = userRef(ACCOUNT, 'bob');
const BOB_ARN = userArn(ACCOUNT, '/', 'bob');
const UNIQUE_ID = 'AIDAAAAAAAAAAAAAAAAA';
const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the secret of root' };
const SCOPE = { date: '20260101', region: 'us-east-1', service: 'sts' };
const CALL: Call = {
  caller: rootCaller('us-east-1', ACCOUNT),
  requestId: 'request',
  operation: 'Test',
  now: '2026-01-01T00:00:00.000Z',
};

/** A key-manager, a crypto-worker and the user bob, at a time that the test moves. */
async function started() {
  let now = NOW;
  const log = new MemoryEventStore();
  const view = new LiveView();
  await view.start(log);
  const store = new MemoryMaterialStore(() => now);
  const rootKeyBase64 = Buffer.alloc(32, 1).toString('base64');
  const vault = new MaterialVault(SoftwareHsmProvider.open({ rootKeyBase64, mayCreate: false }), store, {
    logPosition: () => view.position,
  });
  const tokens = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH, 2));
  const commands = new WorkerCommands(view, (...command) => manager.runFor(...command));
  const accessKeys = new AccessKeys(vault, commands);
  const imports = new Imports(Buffer.alloc(TOKEN_SEED_LENGTH, 2), vault, commands);
  const worker = new CryptoWorker(
    view,
    vault,
    tokens,
    accessKeys,
    imports,
    NO_KEY_STORES,
    { obstacle: () => 'none here', runCommand: async () => {} },
    () => Promise.reject(new Error('mints nothing')),
    new AttestationVerifier([]),
  );
  const clock = { now: () => now };
  const manager: KeyManager = new KeyManager({
    ...{ store: log, view, materials: worker },
    serving: ALWAYS_SERVING,
    appliedEverywhere: async () => {},
    signGrantToken: async () => undefined,
    clusters: NO_CLUSTERS,
    lastUses: UNTRACKED,
    failPoint: () => {},
  });
  await manager.runCommand(BOB, { type: 'CreateUser', name: 'bob', path: '/', uniqueId: UNIQUE_ID, tags: [] }, CALL);
  const signingKeys = new CachedSigningKeys(
    new SecretSigningKeys({
      ...{ account: ACCOUNT, root: ROOT, projection: view.projection, vault, tokens },
      epochSeconds: () => now / 1000,
    }),
    () => now / 1000,
  );
  return {
    accessKeys,
    signingKeys,
    tokens,
    view,
    accounts: new Accounts(ACCOUNT, view.projection, accessKeys, commands, clock),
    holds: async (accessKeyId: string) => (await store.get(accessKeyMaterialId(accessKeyId))) !== undefined,
    sweep: () => worker.sweep(now, DAY_MS, () => view.catchUp(log)),
    later: (ms: number) => {
      now += ms;
    },
    /** As CreateAccessKey does it. */
    newKey: async (accessKeyId: string): Promise<string> => {
      const secret = await accessKeys.create(BOB_ARN, accessKeyId);
      await accessKeys.runCommand(BOB, { type: 'CreateAccessKey', accessKeyId }, CALL);
      return secret;
    },
  };
}

describe('the secret of an access key', () => {
  test('is 40 characters of base64, another one each time', async () => {
    const { newKey } = await started();
    const [a, b] = [await newKey('AKIAONE'), await newKey('AKIATWO')];
    for (const secret of [a, b]) expect(secret).toMatch(/^[A-Za-z0-9+/]{40}$/);
    expect(a).not.toBe(b);
  });

  test('stays while the access key is there, and goes with it', async () => {
    const { accessKeys, newKey, holds, sweep, later } = await started();
    await newKey('AKIAONE');
    later(2 * DAY_MS);
    expect(await sweep()).toMatchObject({ erased: 0 });
    expect(await holds('AKIAONE')).toBe(true);
    await accessKeys.runCommand(BOB, { type: 'DeleteAccessKey', accessKeyId: 'AKIAONE' }, CALL);
    await accessKeys.erase('AKIAONE');
    expect(await holds('AKIAONE')).toBe(false);
  });

  test('that a crash left behind, of an access key never made or deleted, is swept', async () => {
    const { accessKeys, newKey, holds, sweep, later } = await started();
    await newKey('AKIAONE');
    await accessKeys.create(BOB_ARN, 'AKIANEVER');
    await accessKeys.runCommand(BOB, { type: 'DeleteAccessKey', accessKeyId: 'AKIAONE' }, CALL);
    expect(await sweep()).toMatchObject({ erased: 0, kept: 2 });
    later(2 * DAY_MS);
    expect(await sweep()).toMatchObject({ erased: 2, kept: 0 });
    expect([await holds('AKIAONE'), await holds('AKIANEVER')]).toEqual([false, false]);
  });
});

describe('signing keys', () => {
  const derived = (secret: string): Buffer => deriveSigningKey(secret, SCOPE.date, SCOPE.region, SCOPE.service);

  test('are those of root, of access keys in the log, and of no others', async () => {
    const { signingKeys, newKey } = await started();
    const secret = await newKey('AKIAONE');
    expect(await signingKeys.identify({ ...SCOPE, accessKeyId: 'AKIAROOT' })).toEqual({
      ...{ account: ACCOUNT, principalId: 'root' },
      signingKey: derived(ROOT.secretAccessKey),
    });
    expect(await signingKeys.identify({ ...SCOPE, accessKeyId: 'AKIAONE' })).toEqual({
      ...{ account: ACCOUNT, principalId: UNIQUE_ID },
      signingKey: derived(secret),
    });
    expect(await signingKeys.identify({ ...SCOPE, accessKeyId: 'AKIATWO' })).toBeUndefined();
  });

  test('of a session are in its token, until it is over', async () => {
    const { signingKeys, tokens, later } = await started();
    const secret = Buffer.alloc(30, 7);
    const claims: SessionClaims = {
      ...{ account: ACCOUNT, principalId: UNIQUE_ID, accessKeyId: 'ASIAONE' },
      ...{ issuedAt: NOW / 1000, expiresAt: NOW / 1000 + 900 },
    };
    const sessionToken = tokens.issue('session', claims, { secret, iv: Buffer.alloc(12) });
    const asked = { ...SCOPE, accessKeyId: 'ASIAONE', sessionToken };
    const identity = { account: ACCOUNT, principalId: UNIQUE_ID, expiresAt: claims.expiresAt };
    const found = { ...identity, signingKey: derived(secret.toString('base64')) };
    expect(await signingKeys.identify(asked)).toEqual(found);
    expect(await signingKeys.identify({ ...asked, accessKeyId: 'ASIATWO' })).toBeUndefined();
    expect(await signingKeys.identify({ ...SCOPE, accessKeyId: 'ASIAONE' })).toBeUndefined();
    expect(await signingKeys.identify({ ...SCOPE, accessKeyId: 'AKIAROOT', sessionToken })).toBeUndefined();
    const others = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH, 3));
    const forged = others.issue('session', claims, { secret, iv: Buffer.alloc(12) });
    expect(await signingKeys.identify({ ...asked, sessionToken: forged })).toBeUndefined();
    later(899_000);
    expect(await signingKeys.identify(asked)).toEqual(found);
    later(1_000);
    // One scope that was kept, and one that is asked for anew.
    for (const region of ['us-east-1', 'eu-west-1']) {
      expect(() => signingKeys.identify({ ...asked, region })).toThrow(
        'The security token included in the request is expired',
      );
    }
  });
});

describe('an account', () => {
  test('is made with a root access key that signs as its root', async () => {
    const { accounts, signingKeys } = await started();
    const { accessKeyId, secretAccessKey } = await accounts.create(OTHER);
    expect(await signingKeys.identify({ ...SCOPE, accessKeyId })).toEqual({
      ...{ account: OTHER, principalId: 'root' },
      signingKey: deriveSigningKey(secretAccessKey, SCOPE.date, SCOPE.region, SCOPE.service),
    });
  });

  test('is made once, and none of the settings', async () => {
    const { accounts } = await started();
    await accounts.create(OTHER);
    for (const account of [OTHER, ACCOUNT]) {
      await expect(accounts.create(account)).rejects.toThrow(`Account ${account} already exists.`);
    }
    await expect(accounts.create('12')).rejects.toThrow('account: expected 12 digits');
  });

  test('that a crash left without an access key is finished by the same command', async () => {
    const { accounts, accessKeys, view } = await started();
    await accessKeys.runCommand(accountRef(OTHER), { type: 'CreateAccount' }, CALL);
    await accessKeys.create(rootArn(OTHER), 'AKIANEVER');
    const { accessKeyId } = await accounts.create(OTHER);
    expect(view.projection.accessKey(accessKeyId)).toMatchObject({ account: OTHER });
  });
});
