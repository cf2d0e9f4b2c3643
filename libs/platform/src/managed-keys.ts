import type { NatsConnection } from 'nats';
import { KmsError } from '#domain/errors';
import { managedAliasName, managedServiceOf } from '#domain/key/managed-key';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import { createManagedKey, type ManagedKey, type MintingCause, managedKeyRef } from '#operations/managed-keys';
import { membersOf, timeOf, tokenOf } from './internal-questions';
import { answer, ask } from './internal-requests';
import type { KeyManager } from './key-manager';
import type { ServedRequests } from './served-requests';

/** Makes an AWS managed key and its alias, where they are not there yet; the position of the log then. Harmless to repeat. */
export type MintManagedKey = (which: ManagedKey, cause: MintingCause) => Promise<{ position: number }>;

/**
 * First the key, then its alias. A crash between leaves a key that no alias names: the next who uses the alias finds the
 * key made, and has the alias made.
 */
export const mintManagedKey =
  (manager: Pick<KeyManager, 'runUnchecked'>): MintManagedKey =>
  async (which, { requestId, now }) => {
    const origin: CommandOrigin = {
      principal: 'keytrail:key-manager',
      requestId,
      operation: 'CreateManagedKey',
      now,
    };
    const ref = managedKeyRef(which);
    const { region, account } = which;
    const alias = { region, account, aggregate: 'alias', id: managedAliasName(which.service) } as const;
    const made = await manager.runUnchecked(ref, createManagedKey(which), origin);
    try {
      return await manager.runUnchecked(alias, { type: 'CreateAlias', targetKeyId: ref.id }, origin);
    } catch (error) {
      // Another key-manager was first.
      if (error instanceof KmsError && error.code === 'AlreadyExistsException') return { position: made.position };
      throw error;
    }
  };

export const mintRemotely =
  (nats: NatsConnection): MintManagedKey =>
  (which, cause) =>
    ask(nats, INTERNAL.managedKeyMint, { ...which, ...cause });

/** Serves mintRemotely. */
export function serveMinting(served: ServedRequests, mint: MintManagedKey, onError: (error: unknown) => void): void {
  answer<unknown, { position: number }>(
    served,
    INTERNAL.managedKeyMint,
    QUEUE.control,
    async (question) => {
      const members = membersOf(question);
      const which = {
        region: tokenOf(members, 'region'),
        account: tokenOf(members, 'account'),
        service: tokenOf(members, 'service'),
      };
      if (managedServiceOf(managedAliasName(which.service)) === undefined) {
        throw new KmsError('ValidationException', 'service: expected one that has AWS managed keys');
      }
      const { position } = await mint(which, { requestId: tokenOf(members, 'requestId'), now: timeOf(members, 'now') });
      return { position };
    },
    onError,
  );
}
