import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type NatsConnection } from 'nats';
import { requestSubject } from '#domain/subjects';
import { signRequest } from '#sigv4/sign';
import { requestAs } from './support/nats-client';
import { freePort, startNats, type TestNats } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';

jest.setTimeout(300_000);

const REGION = 'us-east-1';
const ACCOUNT = '000000000000';
const SETTINGS = {
  KEYTRAIL_LEASE_MS: '1000',
  KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
  KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
  KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
};

let server: TestNats;
let nats: NatsConnection;
let ports: number[];
const apps: Record<'key-manager' | 'crypto-worker' | 'gateway', AppProcess[]> = {
  'key-manager': [],
  'crypto-worker': [],
  gateway: [],
};
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  server = await startNats();
  ports = [await freePort(), await freePort()];
  const started = (app: keyof typeof apps, extra: Record<string, string> = {}): Promise<unknown> =>
    startApp(app, server.url, { ...SETTINGS, ...extra }).then((process) => apps[app].push(process));
  await Promise.all([
    ...ports.map((port) => started('gateway', { KEYTRAIL_PORT: String(port) })),
    ...[1, 2].flatMap(() => [started('key-manager'), started('crypto-worker')]),
  ]);
  nats = await connect({ servers: server.url });
});

afterAll(async () => {
  await nats?.close();
  agent.destroy();
  await Promise.all(
    Object.values(apps)
      .flat()
      .map((app) => app.kill9()),
  );
  await server?.stop();
});

interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

type Reply = Record<string, unknown> & { __type?: string };

/** Over NATS, as whom the subject names; without any position that the answering process must have reached. */
async function overNats(principal: string, operation: string, body: object, timeout = 30_000): Promise<Reply> {
  const subject = requestSubject(REGION, ACCOUNT, principal, operation);
  return (await requestAs(nats, subject, JSON.stringify(body), undefined, timeout)).json<Reply>();
}

/** By one of the gateways. */
function overHttp(port: number, credentials: Credentials, operation: string, body: object): Promise<Reply> {
  const text = Buffer.from(JSON.stringify(body));
  const headers = signRequest({
    ...credentials,
    ...{ region: REGION, service: 'kms', timeMs: Date.now(), method: 'POST', path: '/', body: text },
    headers: {
      host: `127.0.0.1:${port}`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `TrentService.${operation}`,
    },
  });
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ port, method: 'POST', agent, headers }, (response) => {
      let reply = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        reply += chunk;
      });
      response.once('end', () => resolve(JSON.parse(reply || '{}') as Reply));
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end(text);
  });
}

/** As root; must be done. */
async function asRoot<T>(operation: string, body: object): Promise<T> {
  const reply = await overNats('root', operation, body);
  if (reply.__type !== undefined) throw new Error(`${operation}: ${JSON.stringify(reply)}`);
  return reply as T;
}

const newKey = async (): Promise<string> =>
  (await asRoot<{ KeyMetadata: { KeyId: string } }>('CreateKey', {})).KeyMetadata.KeyId;
const newUser = async (UserName: string): Promise<string> =>
  (await asRoot<{ User: { UserId: string } }>('CreateUser', { UserName })).User.UserId;

async function newAccessKey(UserName: string): Promise<Credentials> {
  type Created = { AccessKey: { AccessKeyId: string; SecretAccessKey: string } };
  const { AccessKey } = await asRoot<Created>('CreateAccessKey', { UserName });
  return { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
}

const userArn = (name: string): string => `arn:aws:iam::${ACCOUNT}:user/${name}`;
const document = (...Statement: object[]): string => JSON.stringify({ Version: '2012-10-17', Statement });
const ALLOW_ALL = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
const FROM_ROOT = { ...ALLOW_ALL, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` } };
const putUserPolicy = (UserName: string): Promise<unknown> =>
  asRoot('PutUserPolicy', { UserName, PolicyName: 'all', PolicyDocument: document(ALLOW_ALL) });

/** What is used, and how the right to it is given and taken away. `allow` and `revoke` take turns. */
interface Right {
  rounds: number;
  /** Ways in: over NATS, and by both gateways. */
  routes: readonly ((operation: string, body: object) => Promise<Reply>)[];
  /** Operations of which none may succeed without the right. */
  operations: readonly string[];
  keyId: string;
  allow(): Promise<unknown>;
  revoke(): Promise<unknown>;
}

/** Both gateways with these credentials, and NATS as their user. */
const allRoutes = (principal: () => string, credentials: () => Credentials): Right['routes'] => [
  (operation, body) => overNats(principal(), operation, body),
  ...byGateways(credentials),
];
const byGateways = (credentials: () => Credentials): Right['routes'] =>
  ports.map((port) => (operation: string, body: object) => overHttp(port, credentials(), operation, body));

const ANY = ['Encrypt', 'DescribeKey', 'UpdateKeyDescription'];

async function userWithKey(name: string) {
  const [keyId, userId] = [await newKey(), await newUser(name)];
  const credentials = await newAccessKey(name);
  return {
    keyId,
    routes: allRoutes(
      () => userId,
      () => credentials,
    ),
    credentials,
  };
}

const RIGHTS: Record<string, () => Promise<Right>> = {
  'DisableKey / EnableKey': async () => {
    const { keyId, routes } = await userWithKey('disable');
    await putUserPolicy('disable');
    const set = (operation: string) => () => asRoot(operation, { KeyId: keyId });
    return { rounds: 150, keyId, routes, operations: ['Encrypt'], allow: set('EnableKey'), revoke: set('DisableKey') };
  },
  PutKeyPolicy: async () => {
    const { keyId, routes } = await userWithKey('policy');
    await putUserPolicy('policy');
    const denied = { Effect: 'Deny', Principal: { AWS: userArn('policy') }, Action: 'kms:*', Resource: '*' };
    const put = (Policy: string) => asRoot('PutKeyPolicy', { KeyId: keyId, PolicyName: 'default', Policy });
    const allow = () => put(document(FROM_ROOT));
    return { rounds: 150, keyId, routes, operations: ANY, allow, revoke: () => put(document(FROM_ROOT, denied)) };
  },
  ...Object.fromEntries(
    ['RevokeGrant', 'RetireGrant'].map((operation) => [
      operation,
      async () => {
        const { keyId, routes } = await userWithKey(operation);
        let GrantId = '';
        const grant = { KeyId: keyId, GranteePrincipal: userArn(operation), Operations: ['Encrypt', 'DescribeKey'] };
        const KeyId = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${keyId}`;
        return {
          ...{ rounds: 150, keyId, routes, operations: ['Encrypt', 'DescribeKey'] },
          allow: async () => {
            ({ GrantId } = await asRoot<{ GrantId: string }>('CreateGrant', grant));
          },
          revoke: () => asRoot(operation, { KeyId, GrantId }),
        };
      },
    ]),
  ),
  DeleteUserPolicy: async () => {
    const { keyId, routes } = await userWithKey('inline');
    const revoke = () => asRoot('DeleteUserPolicy', { UserName: 'inline', PolicyName: 'all' });
    return { rounds: 150, keyId, routes, operations: ANY, allow: () => putUserPolicy('inline'), revoke };
  },
  UpdateAccessKey: async () => {
    const { keyId, credentials } = await userWithKey('switched');
    await putUserPolicy('switched');
    const set = (Status: string) => () =>
      asRoot('UpdateAccessKey', { UserName: 'switched', AccessKeyId: credentials.accessKeyId, Status });
    const routes = byGateways(() => credentials);
    return { rounds: 150, keyId, routes, operations: ANY, allow: set('Active'), revoke: set('Inactive') };
  },
  DeleteAccessKey: async () => {
    const { keyId, credentials: first } = await userWithKey('rotated');
    await putUserPolicy('rotated');
    let credentials = first;
    const allow = async () => {
      credentials = await newAccessKey('rotated');
    };
    const revoke = () => asRoot('DeleteAccessKey', { UserName: 'rotated', AccessKeyId: credentials.accessKeyId });
    return { rounds: 50, keyId, routes: byGateways(() => credentials), operations: ANY, allow, revoke };
  },
  DeleteUser: async () => {
    const UserName = 'deleted';
    const keyId = await newKey();
    let userId = 'AIDANOBODYYET';
    const allow = async () => {
      userId = await newUser(UserName);
      const Policy = document(FROM_ROOT, { ...ALLOW_ALL, Principal: { AWS: userArn(UserName) } });
      await asRoot('PutKeyPolicy', { KeyId: keyId, PolicyName: 'default', Policy });
    };
    const revoke = () => asRoot('DeleteUser', { UserName });
    const route = (operation: string, body: object) => overNats(userId, operation, body);
    return { rounds: 50, keyId, routes: [route, route], operations: ANY, allow, revoke };
  },
};

const IN_FLIGHT_PER_ROUTE = 2;

/** Uses one right without pause, by all routes at once, while it is given and taken away again and again. */
class Race {
  private phase: 'changing' | 'allowed' | 'revoked' = 'changing';
  private round = 0;
  /** Of this phase of this round, for each route. */
  private succeeded: number[] = [];
  private refused: number[] = [];
  private wake = (): void => {};
  private over = false;
  readonly forbidden: string[] = [];
  readonly outcomes = new Map<string, number>();

  constructor(private readonly right: Right) {}

  async run(): Promise<void> {
    const loops = this.right.routes.flatMap((_, route) => Array.from({ length: IN_FLIGHT_PER_ROUTE }, () => route));
    const users = Promise.all(loops.map((route) => this.use(route)));
    try {
      // A use that ends without an answer ends the race.
      await Promise.race([this.takeTurns(), users]);
    } finally {
      this.over = true;
      await users;
    }
  }

  private async takeTurns(): Promise<void> {
    for (let round = 0; round < this.right.rounds; round++) {
      this.enter('changing');
      await this.right.allow();
      this.enter('allowed');
      await this.reached(() => this.succeeded.every((count) => count > 0));
      await this.right.revoke();
      this.enter('revoked');
      await this.reached(() => this.refused.every((count) => count > 0));
    }
  }

  private enter(phase: Race['phase']): void {
    this.phase = phase;
    this.round += 1;
    this.succeeded = this.right.routes.map(() => 0);
    this.refused = this.right.routes.map(() => 0);
  }

  private async use(route: number): Promise<void> {
    const { routes, operations, keyId } = this.right;
    for (let count = 0; !this.over; count++) {
      const operation = operations[count % operations.length]!;
      const Plaintext = operation === 'Encrypt' ? { Plaintext: 'AAAA' } : {};
      const Description = operation === 'UpdateKeyDescription' ? { Description: `${route} ${count}` } : {};
      const started = this.round;
      const { __type: error } = await routes[route]!(operation, { KeyId: keyId, ...Plaintext, ...Description });
      this.outcomes.set(error ?? 'OK', (this.outcomes.get(error ?? 'OK') ?? 0) + 1);
      // One that a change of the phase came between may end either way.
      if (started !== this.round) continue;
      if (error === undefined) this.succeeded[route]!++;
      else this.refused[route]!++;
      if (this.phase === 'revoked' && error === undefined) this.forbidden.push(`${operation} in round ${this.round}`);
      this.wake();
    }
  }

  private async reached(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

test('in a thousand rounds, no use that starts after its revocation returned succeeds', async () => {
  const races = new Map<string, Race>();
  for (const [name, right] of Object.entries(RIGHTS)) races.set(name, new Race(await right()));
  await Promise.all([...races.values()].map((race) => race.run()));
  for (const [name, { forbidden, outcomes }] of races) {
    expect({ name, forbidden }).toEqual({ name, forbidden: [] });
    // Nearly all that is refused is refused for the right that is missing, not since a process could not serve.
    const [ok, all] = [outcomes.get('OK') ?? 0, [...outcomes.values()].reduce((sum, count) => sum + count)];
    const failed = (outcomes.get('KMSInternalException') ?? 0) + (outcomes.get('DependencyTimeoutException') ?? 0);
    expect(ok).toBeGreaterThan(0);
    expect(failed).toBeLessThan(all / 10);
  }
});

/** Repeated, since the one that was asked may be frozen: a client's patience. */
const PATIENCE_MS = 4_000;
const ATTEMPTS = 20;

describe.each([
  ['crypto-worker', 'Encrypt'],
  ['key-manager', 'DescribeKey'],
] as const)('a %s that is frozen', (app, operation) => {
  test('holds a revocation up no longer than its lease, and refuses when it wakes what it was asked before', async () => {
    const name = `frozen-${app}`;
    const { keyId: KeyId, routes } = await userWithKey(name);
    await putUserPolicy(name);
    const denied = { Effect: 'Deny', Principal: { AWS: userArn(name) }, Action: 'kms:*', Resource: '*' };
    const Policy = document(FROM_ROOT, denied);
    const revoke = async (): Promise<Reply> => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await overNats('root', 'PutKeyPolicy', { KeyId, PolicyName: 'default', Policy }, PATIENCE_MS);
        } catch (error) {
          if (attempt === ATTEMPTS) throw error;
        }
      }
    };
    const { pid } = apps[app][1]!;
    process.kill(pid, 'SIGSTOP');
    try {
      let revoked = false;
      const body = operation === 'Encrypt' ? { KeyId, Plaintext: 'AAAA' } : { KeyId };
      const asked = Array.from({ length: 30 }, async () => {
        const { __type: error } = await routes[0]!(operation, body);
        return { error, late: revoked };
      });
      await nats.flush();
      expect(await revoke()).toEqual({});
      revoked = true;
      process.kill(pid, 'SIGCONT');
      const answers = await Promise.all(asked);
      const late = answers.filter((answer) => answer.late);
      expect(late.length).toBeGreaterThan(0);
      for (const { error } of late) expect(['AccessDeniedException', 'KMSInternalException']).toContain(error);
      expect(answers.filter(({ error }) => error === undefined).length).toBeGreaterThan(0);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});
