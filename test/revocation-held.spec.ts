import { FOLLOWERS, HeldServices } from './support/held-services';
import {
  ALLOWED,
  onKey,
  outcomes,
  putKeyPolicy,
  RevocableRights,
  type Right,
  refusals,
  usable,
} from './support/revocable-rights';
import { askOverNats } from './support/root-over-nats';

/**
 * What a revoking write waits for, without a race: one service's view is held back by a proxy, so that it goes on to serve
 * what was taken away.
 */
jest.setTimeout(120_000);

let services: HeldServices;
let rights: RevocableRights;

beforeAll(async () => {
  services = await HeldServices.start();
  rights = new RevocableRights(services);
});

afterEach(() => services?.release());
afterAll(() => services?.stop());

type MadeRight = (rights: RevocableRights) => (name: string) => Promise<Right>;

/** By the write that takes it away: those that only crypto-workers must hear of. */
const OF_CRYPTO_WORKERS: Record<string, MadeRight> = {
  DisableKey: ({ disableKey }) => disableKey,
  ScheduleKeyDeletion: ({ scheduleKeyDeletion }) => scheduleKeyDeletion,
  UpdateAssumeRolePolicy: ({ updateAssumeRolePolicy }) => updateAssumeRolePolicy,
};

const OF_BOTH: Record<string, MadeRight> = {
  PutKeyPolicy: ({ putKeyPolicy }) => putKeyPolicy,
  UntagResource: ({ untagResource }) => untagResource,
  RevokeGrant: ({ revokeGrant }) => revokeGrant,
  RetireGrant: ({ retireGrant }) => retireGrant,
  PutUserPolicy: ({ putUserPolicyAnew }) => putUserPolicyAnew,
  DeleteUserPolicy: ({ deleteUserPolicy }) => deleteUserPolicy,
  UntagUser: ({ untagUser }) => untagUser,
  DeleteUser: ({ deleteUser }) => deleteUser,
  DeleteRole: ({ deleteRole }) => deleteRole,
  UpdateAccessKey: ({ updateAccessKey }) => updateAccessKey,
  DeleteAccessKey: ({ deleteAccessKey }) => deleteAccessKey,
};

const CASES = [
  ...Object.entries({ ...OF_CRYPTO_WORKERS, ...OF_BOTH }).map(
    ([write, make]) => [write, 'crypto-worker', make] as const,
  ),
  ...Object.entries(OF_BOTH).map(([write, make]) => [write, 'key-manager', make] as const),
];

test.each(CASES)('%s does not return before a %s knows of it', async (write, follower, make) => {
  const { ways: all, revoke } = await make(rights)(`${write}-${follower}`);
  const ways = all[follower]!;
  await usable(ways);
  services.followers[follower].log.hold();
  const revocation = await services.begin(revoke);
  // Whom the write has not reached still allows it, so it must not have returned.
  const { returned } = revocation;
  expect({ returned, outcomes: await outcomes(ways) }).toEqual({ returned: false, outcomes: ALLOWED(ways) });
  services.followers[follower].log.release();
  await revocation.done;
  expect(await outcomes(ways)).toEqual(refusals(ways));
});

/** What a client hears that asks again, since its first answer was lost. */
const AGAIN: Record<string, string | undefined> = {
  DisableKey: undefined,
  ScheduleKeyDeletion: 'KMSInvalidStateException',
  PutKeyPolicy: undefined,
  RevokeGrant: 'NotFoundException',
  RetireGrant: 'NotFoundException',
  DeleteUserPolicy: 'NoSuchEntity',
  UntagUser: undefined,
  DeleteUser: 'NoSuchEntity',
  DeleteRole: 'NoSuchEntity',
  UpdateAccessKey: undefined,
  DeleteAccessKey: 'NoSuchEntity',
};

test.each(Object.entries(AGAIN))(
  '%s, asked again, is not answered before a crypto-worker knows of it',
  async (write, error) => {
    const { ways: all, revoke } = await { ...OF_CRYPTO_WORKERS, ...OF_BOTH }[write]!(rights)(`${write}-again`);
    const ways = all['crypto-worker']!;
    await usable(ways);
    const { log } = services.followers['crypto-worker'];
    log.hold();
    const first = await services.begin(revoke);
    const again = await services.repeat(revoke);
    expect([first.returned, again.returned]).toEqual([false, false]);
    log.release();
    expect((await again.done).__type).toBe(error);
    expect(await outcomes(ways)).toEqual(refusals(ways));
    await first.done;
  },
);

describe('a revocation that a crypto-worker and a key-manager do not hear of', () => {
  test('returns when their leases have run out, and they serve nothing more', async () => {
    const { ways, revoke } = await rights.putKeyPolicy('unheard');
    // Its secret stays, so that nothing but the lease stands in the way.
    const logins = await rights.updateAccessKey('unheard-login');
    const login = logins.ways['crypto-worker']!.slice(-1);
    for (const follower of FOLLOWERS) await usable(ways[follower]!);
    await usable(login);
    for (const { log } of Object.values(services.followers)) log.hold();
    await Promise.all([revoke, logins.revoke].map((write) => services.root.call(...write)));
    for (const follower of FOLLOWERS) {
      const refused = ways[follower]!.map(() => 'KMSInternalException');
      expect({ follower, outcomes: await outcomes(ways[follower]!) }).toEqual({ follower, outcomes: refused });
    }
    expect(await outcomes(login)).toEqual(refusals(login));
    // It was not the revocation that they refused for.
    const pids = Object.values(services.followers).map(({ app }) => app.pid);
    for (const { pid, position } of await services.statuses()) {
      if (pids.includes(pid)) expect(position).toBeLessThan(services.written);
    }
  });

  test('returns while they are frozen; what they were asked before, they refuse when they wake', async () => {
    const { KeyId, userId, arn, credentials } = await rights.allowedByIdentity('frozen');
    for (const ways of Object.values(rights.uses(KeyId, { credentials }))) await usable(ways);
    const signal = (name: NodeJS.Signals): void => {
      for (const { app } of Object.values(services.followers)) process.kill(app.pid, name);
    };
    signal('SIGSTOP');
    try {
      const asked = ['Encrypt', 'DescribeKey'].map(async (operation) => {
        const body = { KeyId, ...(operation === 'Encrypt' && { Plaintext: 'AAAA' }) };
        return (await askOverNats(services.nats, userId, operation, body)).__type;
      });
      await services.nats.flush();
      await services.root.call(...putKeyPolicy(KeyId, onKey('Deny', arn)));
      signal('SIGCONT');
      // They read what they were asked before they read of the revocation.
      expect(await Promise.all(asked)).toEqual(['KMSInternalException', 'KMSInternalException']);
    } finally {
      signal('SIGCONT');
    }
  });
});
