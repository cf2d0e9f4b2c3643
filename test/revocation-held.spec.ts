import { randomBytes } from 'node:crypto';
import { DescribeKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand } from '@aws-sdk/client-sts';
import { connect, type NatsConnection, RequestStrategy } from 'nats';
import { INTERNAL } from '#domain/subjects';
import type { Beat } from '#platform/revocation-barrier';
import type { ServiceStatus } from '#platform/service';
import { type FollowerProxy, startFollowerProxy } from './support/follower-proxy';
import { type Clients, type Credentials, clientsOf, temporary, trusting } from './support/identities';
import { freePort, startNats, type TestNats, until } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';
import { ALLOW_ALL, askOverNats, document, FROM_ROOT, RootOverNats, roleArn, userArn } from './support/root-over-nats';

/**
 * What a revoking write waits for, without a race: one service's view is held back by a proxy, so that it goes on to serve
 * what was taken away.
 * Of key-managers and crypto-workers there are two each. The proxies let one answer nothing but the uses, and the other all
 * the rest: which one a request goes to is then known.
 */
jest.setTimeout(120_000);

/** Much longer than what happens while a view is held takes, and it is waited for three times. */
const LEASE_MS = 6_000;
const SETTINGS = {
  KEYTRAIL_LEASE_MS: String(LEASE_MS),
  KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
  KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
  KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
};
const USES = ['Encrypt', 'AssumeRole', 'DescribeKey'];

/** The key-manager that answers DescribeKey, the crypto-worker that answers Encrypt and AssumeRole. */
type Follower = 'key-manager' | 'crypto-worker';

let server: TestNats;
let nats: NatsConnection;
let root: RootOverNats;
let endpoints: string[];
const apps: AppProcess[] = [];
const proxies: FollowerProxy[] = [];
const followers = {} as Record<Follower, { app: AppProcess; log: FollowerProxy }>;
/** The key-manager that everything is written by. */
let writer: ServiceStatus;
/** How far each process has said that it is. */
const settled = new Map<string, number>();
let heard = (): void => {};

async function start(app: string, extra: Record<string, string>, url = server.url): Promise<AppProcess> {
  const process = await startApp(app, url, { ...SETTINGS, ...extra });
  apps.push(process);
  return process;
}

async function startBehindProxy(app: Follower, answersUses: boolean): Promise<{ app: AppProcess; log: FollowerProxy }> {
  const isUse = (subject: string): boolean => USES.includes(subject.split('.').at(-1)!);
  const log = await startFollowerProxy(server.port, { answers: (subject) => isUse(subject) === answersUses });
  proxies.push(log);
  return { app: await start(app, {}, log.url), log };
}

beforeAll(async () => {
  server = await startNats();
  const ports = [await freePort(), await freePort()];
  endpoints = ports.map((port) => `http://127.0.0.1:${port}`);
  const [first] = await Promise.all([
    startBehindProxy('key-manager', false),
    startBehindProxy('crypto-worker', false),
    ...(['key-manager', 'crypto-worker'] as const).map(async (app) => {
      followers[app] = await startBehindProxy(app, true);
    }),
    ...ports.map((port) => start('gateway', { KEYTRAIL_PORT: String(port) })),
  ]);
  nats = await connect({ servers: server.url });
  root = new RootOverNats(nats);
  nats.subscribe(INTERNAL.servingBeat, {
    callback: (_, message) => {
      const { processId, position } = message.json<Beat>();
      settled.set(processId, position);
      heard();
    },
  });
  writer = (await statuses()).find(({ pid }) => pid === first.app.pid)!;
  // A key-manager that has just started waits a lease out, whomever it hears. From then on it waits for the processes.
  await root.newUser('nobody');
  await root.call('DeleteUser', { UserName: 'nobody' });
});

afterEach(() => {
  for (const proxy of proxies) proxy.release();
});

afterAll(async () => {
  await nats?.close();
  await Promise.all(apps.map((app) => app.kill9()));
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await server?.stop();
});

/** What every process says of itself. On its connection, that comes after all that it had already said. */
async function statuses(): Promise<ServiceStatus[]> {
  const replies = await nats.requestMany(INTERNAL.status, undefined, {
    ...{ strategy: RequestStrategy.Count, maxMessages: apps.length, maxWait: 20_000 },
  });
  const all: ServiceStatus[] = [];
  for await (const reply of replies) all.push(reply.json<{ result: ServiceStatus }>().result);
  return all;
}

type Use = (clients: Clients) => Promise<unknown>;

/** What somebody may do, and the one write after which it is forbidden. */
interface Right {
  credentials: Credentials;
  uses: Partial<Record<Follower, Use>>;
  /** What the use is refused with afterwards. */
  refusal: string;
  revoke: [operation: string, request: object];
}

const usesOf = (KeyId: string): Record<Follower, Use> => ({
  'crypto-worker': ({ kms }) => kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('AAAA') })),
  'key-manager': ({ kms }) => kms.send(new DescribeKeyCommand({ KeyId })),
});

const putKeyPolicy = (KeyId: string, ...statements: object[]): [string, object] => [
  'PutKeyPolicy',
  { KeyId, PolicyName: 'default', Policy: document(FROM_ROOT, ...statements) },
];
const onKey = (effect: 'Allow' | 'Deny', AWS: string): object => ({ ...ALLOW_ALL, Effect: effect, Principal: { AWS } });

/** A user with an access key, and a key that only a further permission opens. */
async function userAndKey(name: string) {
  const KeyId = await root.newKey();
  const userId = await root.newUser(name);
  return { name, KeyId, userId, arn: userArn(name), credentials: await root.newAccessKey(name) };
}

const putUserPolicy = (UserName: string, Action = 'kms:*'): Promise<unknown> =>
  root.call('PutUserPolicy', { UserName, PolicyName: 'all', PolicyDocument: document({ ...ALLOW_ALL, Action }) });

async function allowedByIdentity(name: string) {
  const user = await userAndKey(name);
  await putUserPolicy(name);
  return user;
}

const DENIED = 'AccessDeniedException';
const UNKNOWN_CALLER = 'UnrecognizedClientException';

type MadeRight = (name: string) => Promise<Right>;

/**
 * By the write that takes it away: those that only crypto-workers must hear of. What the state of a key forbids a
 * key-manager is a change of that key, which its append would refuse on an outdated view.
 */
const OF_CRYPTO_WORKERS: Record<string, MadeRight> = {
  DisableKey: async (name) => {
    const { KeyId, credentials } = await allowedByIdentity(name);
    const { 'crypto-worker': encrypt } = usesOf(KeyId);
    const uses = { 'crypto-worker': encrypt };
    return { credentials, uses, refusal: 'DisabledException', revoke: ['DisableKey', { KeyId }] };
  },
  ScheduleKeyDeletion: async (name) => {
    const { KeyId, credentials } = await allowedByIdentity(name);
    const { 'crypto-worker': encrypt } = usesOf(KeyId);
    const uses = { 'crypto-worker': encrypt };
    return { credentials, uses, refusal: 'KMSInvalidStateException', revoke: ['ScheduleKeyDeletion', { KeyId }] };
  },
  UpdateAssumeRolePolicy: async (name) => {
    const { credentials, arn } = await userAndKey(name);
    await root.newUser(`other-${name}`);
    await putUserPolicy(name, 'sts:AssumeRole');
    await root.call('CreateRole', { RoleName: name, AssumeRolePolicyDocument: trusting(arn) });
    const assume: Use = ({ sts }) =>
      sts.send(new AssumeRoleCommand({ RoleArn: roleArn(name), RoleSessionName: 'held' }));
    const PolicyDocument = trusting(userArn(`other-${name}`));
    const revoke: Right['revoke'] = ['UpdateAssumeRolePolicy', { RoleName: name, PolicyDocument }];
    return { credentials, uses: { 'crypto-worker': assume }, refusal: 'AccessDenied', revoke };
  },
};

const OF_BOTH: Record<string, MadeRight> = {
  PutKeyPolicy: async (name) => {
    const { KeyId, credentials, arn } = await allowedByIdentity(name);
    const revoke = putKeyPolicy(KeyId, onKey('Deny', arn));
    return { credentials, uses: usesOf(KeyId), refusal: DENIED, revoke };
  },
  ...Object.fromEntries(
    ['RevokeGrant', 'RetireGrant'].map((operation) => [
      operation,
      async (name: string): Promise<Right> => {
        const { KeyId, credentials, arn } = await userAndKey(name);
        const grant = { KeyId, GranteePrincipal: arn, Operations: ['Encrypt', 'DescribeKey'] };
        const { GrantId } = await root.call<{ GrantId: string }>('CreateGrant', grant);
        const { KeyMetadata } = await root.call<{ KeyMetadata: { Arn: string } }>('DescribeKey', { KeyId });
        const revoke: Right['revoke'] = [operation, { KeyId: KeyMetadata.Arn, GrantId }];
        return { credentials, uses: usesOf(KeyId), refusal: DENIED, revoke };
      },
    ]),
  ),
  DeleteUserPolicy: async (name) => {
    const { KeyId, credentials } = await allowedByIdentity(name);
    const revoke: Right['revoke'] = ['DeleteUserPolicy', { UserName: name, PolicyName: 'all' }];
    return { credentials, uses: usesOf(KeyId), refusal: DENIED, revoke };
  },
  'DeleteRole, with a session of it': async (name) => {
    const { KeyId, credentials: own, arn } = await userAndKey(name);
    await putUserPolicy(name, 'sts:AssumeRole');
    await root.call('CreateRole', { RoleName: name, AssumeRolePolicyDocument: trusting(arn) });
    await root.call(...putKeyPolicy(KeyId, onKey('Allow', roleArn(name))));
    const session = { RoleArn: roleArn(name), RoleSessionName: 'held' };
    let credentials = own;
    await until(async () => {
      const { sts } = clientsOf(endpoints[0]!, own);
      const assumed = await sts.send(new AssumeRoleCommand(session)).catch(() => undefined);
      if (assumed) credentials = temporary(assumed.Credentials);
      return assumed !== undefined;
    }, 'the role was not assumed');
    const revoke: Right['revoke'] = ['DeleteRole', { RoleName: name }];
    return { credentials, uses: usesOf(KeyId), refusal: UNKNOWN_CALLER, revoke };
  },
  UpdateAccessKey: async (name) => {
    const { KeyId, credentials } = await allowedByIdentity(name);
    const request = { UserName: name, AccessKeyId: credentials.accessKeyId, Status: 'Inactive' };
    return { credentials, uses: usesOf(KeyId), refusal: UNKNOWN_CALLER, revoke: ['UpdateAccessKey', request] };
  },
};

/** What a use by each of the gateways comes to: `OK`, or the error. */
const outcomes = ({ credentials }: Pick<Right, 'credentials'>, use: Use): Promise<string[]> =>
  Promise.all(
    endpoints.map(async (endpoint) => {
      const clients = clientsOf(endpoint, credentials);
      try {
        await use(clients);
        return 'OK';
      } catch (error) {
        return (error as Error).name;
      } finally {
        for (const client of Object.values(clients)) client.destroy();
      }
    }),
  );
const BY_BOTH = ['OK', 'OK'];

/** Resolves once both gateways have its credentials, and the follower's view all that it rests on. */
const usable = (right: Pick<Right, 'credentials'>, use: Use): Promise<void> =>
  until(async () => (await outcomes(right, use)).every((outcome) => outcome === 'OK'), 'the right was not to be had');

/**
 * Resolves once the revoking write is in the log, and would have been answered if it waited for nobody: the writer says
 * how far it is when the append is over, before the answer; and has to say something after that.
 */
async function begin([operation, request]: Right['revoke']) {
  const before = settled.get(writer.instance)!;
  const revocation = { returned: false, done: Promise.resolve() };
  revocation.done = root.call(operation, request).then(() => {
    revocation.returned = true;
  });
  // A failure is for whoever awaits it.
  revocation.done.catch(() => {});
  while (settled.get(writer.instance) === before) {
    await Promise.race([
      revocation.done,
      new Promise<void>((resolve) => {
        heard = resolve;
      }),
    ]);
  }
  await statuses();
  return revocation;
}

const CASES = [
  ...Object.entries({ ...OF_CRYPTO_WORKERS, ...OF_BOTH }).map(
    ([write, make]) => [write, 'crypto-worker', make] as const,
  ),
  ...Object.entries(OF_BOTH).map(([write, make]) => [write, 'key-manager', make] as const),
];

test.each(CASES)('%s does not return before a %s knows of it', async (write, follower, make) => {
  const right = await make(`${write.replace(/\W.*/, '')}-${follower}`);
  const use = right.uses[follower]!;
  await usable(right, use);
  followers[follower].log.hold();
  const revocation = await begin(right.revoke);
  // Whom the write has not reached still allows it, so it must not have returned.
  const { returned } = revocation;
  expect({ returned, outcomes: await outcomes(right, use) }).toEqual({ returned: false, outcomes: BY_BOTH });
  followers[follower].log.release();
  await revocation.done;
  expect(await outcomes(right, use)).toEqual([right.refusal, right.refusal]);
});

describe('a revocation that a crypto-worker and a key-manager do not hear of', () => {
  const NAMES: readonly Follower[] = ['crypto-worker', 'key-manager'];

  test('returns when their leases have run out, and they serve nothing more', async () => {
    const right = await OF_BOTH['PutKeyPolicy']!('unheard');
    for (const name of NAMES) await usable(right, right.uses[name]!);
    for (const { log } of Object.values(followers)) log.hold();
    await root.call(...right.revoke);
    for (const name of NAMES) {
      const refused = ['KMSInternalException', 'KMSInternalException'];
      expect({ name, outcomes: await outcomes(right, right.uses[name]!) }).toEqual({ name, outcomes: refused });
    }
    // It was not the revocation that they refused for.
    const pids = Object.values(followers).map(({ app }) => app.pid);
    for (const { pid, position } of await statuses()) {
      if (pids.includes(pid)) expect(position).toBeLessThan(settled.get(writer.instance)!);
    }
  });

  test('returns while they are frozen; what they were asked before, they refuse when they wake', async () => {
    const { KeyId, userId, arn, credentials } = await allowedByIdentity('frozen');
    for (const use of Object.values(usesOf(KeyId))) await usable({ credentials }, use);
    const signal = (name: NodeJS.Signals): void => {
      for (const { app } of Object.values(followers)) process.kill(app.pid, name);
    };
    signal('SIGSTOP');
    try {
      const asked = ['Encrypt', 'DescribeKey'].map(async (operation) => {
        const body = { KeyId, ...(operation === 'Encrypt' && { Plaintext: 'AAAA' }) };
        return (await askOverNats(nats, userId, operation, body)).__type;
      });
      await nats.flush();
      await root.call(...putKeyPolicy(KeyId, onKey('Deny', arn)));
      signal('SIGCONT');
      // They read what they were asked before they read of the revocation.
      expect(await Promise.all(asked)).toEqual(['KMSInternalException', 'KMSInternalException']);
    } finally {
      signal('SIGCONT');
    }
  });
});
