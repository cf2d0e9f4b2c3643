import type { NatsConnection } from 'nats';
import { isErrorCode, KmsError } from '#domain/errors';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import type { Timer } from '#views/due-times';
import type { MaterialCustodian } from './key-manager';
import { requestReply } from './nats-request';
import type { ServedRequests } from './served-requests';

/** Requests between Keytrail's services: JSON both ways, an error as `{"error": {code, message}}`. */
const TIMEOUT_MS = 20_000;
/** Material is created or destroyed in far less: whoever was asked has died, or its answer was lost. */
const MATERIAL_ATTEMPT_MS = 4_000;

interface Answer<T> {
  result?: T;
  error?: { code: string; message: string };
}

/** Asks whichever instance answers, and waits a while with nobody there. With `attemptMs`, as RequestOptions has it. */
export async function ask<T>(
  nats: NatsConnection,
  subject: string,
  question: unknown,
  options: { timeoutMs?: number; attemptMs?: number } = {},
): Promise<T> {
  const reply = await requestReply(nats, subject, JSON.stringify(question), { timeoutMs: TIMEOUT_MS, ...options });
  const { result, error } = reply.json<Answer<T>>();
  if (!error) return result as T;
  throw new KmsError(isErrorCode(error.code) ? error.code : 'KMSInternalException', error.message);
}

/** Answers such requests; with a queue name, one instance of the service does. */
export function answer<Q, T>(
  served: ServedRequests,
  subject: string,
  queue: string | undefined,
  run: (question: Q) => T | Promise<T>,
  onError: (error: unknown) => void,
): void {
  served.serve(subject, queue, async (message) => {
    let reply: Answer<T>;
    try {
      reply = { result: await run(message.data.length === 0 ? (undefined as Q) : message.json<Q>()) };
    } catch (error) {
      onError(error);
      const { code, message: text } =
        error instanceof KmsError ? error : new KmsError('KMSInternalException', 'An internal error occurred.');
      reply = { error: { code, message: text } };
    }
    try {
      served.respond(message, JSON.stringify(reply));
    } catch (error) {
      onError(error);
      const { code, message: text } = error as KmsError;
      served.respond(message, JSON.stringify({ error: { code, message: text } }));
    }
  });
}

/** Material by way of a crypto-worker. */
export class RemoteMaterialCustodian implements MaterialCustodian {
  constructor(private readonly nats: NatsConnection) {}

  create(keyArn: string, materialId: string): Promise<void> {
    return ask(this.nats, INTERNAL.materialCreate, { keyArn, materialId }, { attemptMs: MATERIAL_ATTEMPT_MS });
  }

  destroy(ref: AggregateRef, materialId: string): Promise<void> {
    return ask(this.nats, INTERNAL.materialDestroy, { ref, materialId }, { attemptMs: MATERIAL_ATTEMPT_MS });
  }
}

export function serveMaterials(
  served: ServedRequests,
  custodian: MaterialCustodian,
  caughtUp: () => Promise<void>,
  onError: (error: unknown) => void,
): void {
  answer<{ keyArn: string; materialId: string }, void>(
    served,
    INTERNAL.materialCreate,
    QUEUE.data,
    ({ keyArn, materialId }) => custodian.create(keyArn, materialId),
    onError,
  );
  answer<{ ref: AggregateRef; materialId: string }, void>(
    served,
    INTERNAL.materialDestroy,
    QUEUE.data,
    async ({ ref, materialId }) => {
      await caughtUp();
      await custodian.destroy(ref, materialId);
    },
    onError,
  );
}

/** Fires a timer by way of a key-manager: whether it changed anything. */
export const fireRemotely = (nats: NatsConnection, timer: Timer): Promise<boolean> =>
  ask(nats, INTERNAL.timerFire, timer);
