import { type NatsConnection, RequestStrategy } from 'nats';
import { KmsError } from '#domain/errors';
import type { RootCommand, RootKeyRef } from '#domain/root/root';
import { INTERNAL, QUEUE } from '#domain/subjects';
import { epochOf, membersOf, tokenOf } from '../internal-questions';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';
import type { PreparedRoot, RootRotation, RootStatus } from './root-rotation';

/** Making a key, and waiting for what it takes to start. */
const TIMEOUT_MS = 60_000;
const STATUS_MS = 10_000;

/** Serves the three below. */
export function serveRoot(served: ServedRequests, rotation: RootRotation, onError: (error: unknown) => void): void {
  answer<unknown, PreparedRoot | undefined>(
    served,
    INTERNAL.rootRotate,
    QUEUE.data,
    async (question) => {
      const { prepared } = membersOf(question);
      if (prepared === undefined) return rotation.prepare();
      const members = membersOf(prepared, 'prepared');
      rotation.go({ from: epochOf(members, 'from'), key: rootKeyOf(members['key']) });
      return undefined;
    },
    onError,
  );
  answer<unknown, RootStatus>(
    served,
    INTERNAL.rootStatus,
    undefined,
    (question) => {
      const { key } = membersOf(question);
      return rotation.status(key === undefined ? undefined : rootKeyOf(key));
    },
    onError,
  );
}

function rootKeyOf(value: unknown): RootKeyRef {
  const key = membersOf(value, 'key');
  return { epoch: epochOf(key, 'epoch'), id: tokenOf(key, 'id') };
}

/** Has a crypto-worker make the next root key; harmless to repeat. */
export const prepareRootRemotely = (nats: NatsConnection): Promise<PreparedRoot> =>
  ask(nats, INTERNAL.rootRotate, {}, { timeoutMs: TIMEOUT_MS });

/** Has one begin with the rotation to it, or go on; returns at once, and is harmless to repeat. */
export const rotateRootRemotely = (nats: NatsConnection, prepared: PreparedRoot): Promise<void> =>
  ask(nats, INTERNAL.rootRotate, { prepared }, { timeoutMs: TIMEOUT_MS });

/** Every crypto-worker that answers, of `expected` as they are known; with a key, whether it can use that. */
export async function rootStatusRemotely(
  nats: NatsConnection,
  expected: number,
  key?: RootKeyRef,
): Promise<RootStatus[]> {
  const replies = await nats.requestMany(INTERNAL.rootStatus, JSON.stringify({ ...(key && { key }) }), {
    strategy: RequestStrategy.Count,
    maxMessages: expected,
    maxWait: STATUS_MS,
  });
  const found: RootStatus[] = [];
  for await (const reply of replies) {
    if (reply.data.length === 0) continue;
    const { result } = reply.json<{ result?: RootStatus }>();
    if (result) found.push(result);
  }
  return found;
}

/** What a crypto-worker may have appended of the root. */
export function rootCommandOf(command: Record<string, unknown>): RootCommand {
  const { type } = command;
  switch (type) {
    case 'BeginRootRotation':
      return { type, from: epochOf(command, 'from'), keyId: tokenOf(command, 'keyId') };
    case 'RetireRootEpoch':
    case 'RecordRootEpochDestroyed':
      return { type, epoch: epochOf(command, 'epoch') };
    default:
      throw new KmsError('ValidationException', 'type: expected a command of the root key');
  }
}
