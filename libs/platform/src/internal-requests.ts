import { type NatsConnection, NatsError, ErrorCode as NatsErrorCode } from 'nats';
import { type ErrorCode, isErrorCode, KmsError } from '#domain/errors';
import { type AggregateRef, INTERNAL } from '#domain/subjects';
import type { Timer } from '#views/due-times';
import type { MaterialCustodian } from './key-manager';

/** Requests between Keytrail's services: JSON both ways, an error as `{"error": {code, message}}`. */
const TIMEOUT_MS = 20_000;
/** Material is created or destroyed in far less: whoever was asked has died, or its answer was lost. */
const MATERIAL_TIMEOUT_MS = 4_000;
const RETRY_PAUSE_MS = 250;
const RETRIES = 40;

interface Answer<T> {
  result?: T;
  error?: { code: string; message: string };
}

/**
 * Asks whichever instance answers; what is asked must be harmless to repeat. With nobody there it waits a while, and
 * one that does not answer in `attemptMs` is not waited for longer.
 */
async function ask<T>(nats: NatsConnection, subject: string, question: unknown, attemptMs = TIMEOUT_MS): Promise<T> {
  const deadline = performance.now() + TIMEOUT_MS;
  for (let unserved = 0; ; ) {
    try {
      const reply = await nats.request(subject, JSON.stringify(question), { timeout: attemptMs });
      const { result, error } = reply.json<Answer<T>>();
      if (!error) return result as T;
      const code: ErrorCode = isErrorCode(error.code) ? error.code : 'KMSInternalException';
      throw new KmsError(code, error.message);
    } catch (error) {
      if (error instanceof KmsError) throw error;
      const code = error instanceof NatsError ? error.code : undefined;
      if (code === NatsErrorCode.NoResponders && unserved++ < RETRIES) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
      } else if (code !== NatsErrorCode.Timeout || performance.now() + attemptMs > deadline) {
        throw new KmsError(
          'DependencyTimeoutException',
          'A service of Keytrail did not answer in time; try again.',
          error,
        );
      }
    }
  }
}

/** Answers such requests; with a queue name, one instance of the service does. */
export function answer<Q, T>(
  nats: NatsConnection,
  subject: string,
  queue: string | undefined,
  run: (question: Q) => Promise<T>,
  onError: (error: unknown) => void,
): void {
  nats.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: async (failure, message) => {
      if (failure) return;
      try {
        const result = await run(message.data.length === 0 ? (undefined as Q) : message.json<Q>());
        message.respond(JSON.stringify({ result } satisfies Answer<T>));
      } catch (error) {
        onError(error);
        const { code, message: text } =
          error instanceof KmsError ? error : new KmsError('KMSInternalException', 'An internal error occurred.');
        message.respond(JSON.stringify({ error: { code, message: text } } satisfies Answer<T>));
      }
    },
  });
}

/** Material by way of a crypto-worker. */
export class RemoteMaterialCustodian implements MaterialCustodian {
  constructor(private readonly nats: NatsConnection) {}

  create(keyArn: string, materialId: string): Promise<void> {
    return ask(this.nats, INTERNAL.materialCreate, { keyArn, materialId }, MATERIAL_TIMEOUT_MS);
  }

  destroy(ref: AggregateRef, materialId: string): Promise<void> {
    return ask(this.nats, INTERNAL.materialDestroy, { ref, materialId }, MATERIAL_TIMEOUT_MS);
  }
}

export function serveMaterials(
  nats: NatsConnection,
  custodian: MaterialCustodian,
  caughtUp: () => Promise<void>,
  onError: (error: unknown) => void,
): void {
  answer<{ keyArn: string; materialId: string }, void>(
    nats,
    INTERNAL.materialCreate,
    'crypto-worker',
    ({ keyArn, materialId }) => custodian.create(keyArn, materialId),
    onError,
  );
  answer<{ ref: AggregateRef; materialId: string }, void>(
    nats,
    INTERNAL.materialDestroy,
    'crypto-worker',
    async ({ ref, materialId }) => {
      await caughtUp();
      await custodian.destroy(ref, materialId);
    },
    onError,
  );
}

/** Fires a timer by way of a key-manager. */
export const fireRemotely = (nats: NatsConnection, timer: Timer): Promise<void> => ask(nats, INTERNAL.timerFire, timer);
