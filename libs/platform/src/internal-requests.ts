import type { Msg, NatsConnection } from 'nats';
import { isErrorCode, KmsError } from '#domain/errors';
import { isAsymmetric, type KeySpec } from '#domain/key/key-kinds';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import type { Timer } from '#views/due-times';
import { doomedMaterialOf, newMaterialOf, timerOf } from './internal-questions';
import type { MaterialCustodian } from './key-manager';
import { requestReply } from './nats-request';
import type { ServedRequests } from './served-requests';

/** Requests between Keytrail's services: JSON both ways, an error as `{"error": {code, message}}`. */
const TIMEOUT_MS = 20_000;
/** Material is created or destroyed in far less: whoever was asked has died, or its answer was lost. */
const MATERIAL_ATTEMPT_MS = 4_000;
/** A key pair of RSA takes seconds to make, more of them where the machine is busy. */
const KEY_PAIR_TIMEOUT_MS = 90_000;
const KEY_PAIR_ATTEMPT_MS = 30_000;

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

/**
 * Answers such requests; with a queue name, one instance of the service does. `onError` is told what is somebody's fault: of
 * this service, or of an asker whose question has not its form. Other refusals, as that others came first, are answers.
 */
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
      reply = { result: await run(questionIn(message) as Q) };
    } catch (error) {
      const known =
        error instanceof KmsError ? error : new KmsError('KMSInternalException', 'An internal error occurred.');
      if (known.status >= 500 || known.code === 'ValidationException') onError(error);
      const { code, message: text } = known;
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

function questionIn(message: Msg): unknown {
  if (message.data.length === 0) return undefined;
  try {
    return message.json();
  } catch (error) {
    throw new KmsError('ValidationException', 'question: expected JSON', error);
  }
}

/** Material by way of a crypto-worker. */
export class RemoteMaterialCustodian implements MaterialCustodian {
  constructor(private readonly nats: NatsConnection) {}

  create(keyArn: string, materialId: string, keySpec: KeySpec): Promise<string | undefined> {
    const patience = isAsymmetric(keySpec)
      ? { timeoutMs: KEY_PAIR_TIMEOUT_MS, attemptMs: KEY_PAIR_ATTEMPT_MS }
      : { attemptMs: MATERIAL_ATTEMPT_MS };
    return ask(this.nats, INTERNAL.materialCreate, { keyArn, materialId, keySpec }, patience);
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
  answer<unknown, string | undefined>(
    served,
    INTERNAL.materialCreate,
    QUEUE.data,
    (question) => {
      const { keyArn, materialId, keySpec } = newMaterialOf(question);
      return custodian.create(keyArn, materialId, keySpec);
    },
    onError,
  );
  answer<unknown, void>(
    served,
    INTERNAL.materialDestroy,
    QUEUE.data,
    async (question) => {
      const { ref, materialId } = doomedMaterialOf(question);
      await caughtUp();
      await custodian.destroy(ref, materialId);
    },
    onError,
  );
}

/** For all that a firing may have to wait for: the view, appends, a barrier, material being erased. */
const FIRE_TIMEOUT_MS = 90_000;
/** Asked again after so long, and harmless to repeat: a key-manager that is still at it ends that first. */
const FIRE_ATTEMPT_MS = 20_000;

/** Fires a timer by way of a key-manager: whether it changed anything. */
export const fireRemotely = (nats: NatsConnection, timer: Timer, attemptMs = FIRE_ATTEMPT_MS): Promise<boolean> =>
  ask(nats, INTERNAL.timerFire, timer, { timeoutMs: FIRE_TIMEOUT_MS, attemptMs });

/** Serves fireRemotely. */
export function serveTimers(
  served: ServedRequests,
  fire: (timer: Timer) => Promise<boolean>,
  caughtUp: () => Promise<void>,
  onError: (error: unknown) => void,
): void {
  answer<unknown, boolean>(
    served,
    INTERNAL.timerFire,
    QUEUE.control,
    async (question) => {
      const timer = timerOf(question);
      await caughtUp();
      return fire(timer);
    },
    onError,
  );
}
