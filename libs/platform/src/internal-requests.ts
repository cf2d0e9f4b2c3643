import type { Msg, NatsConnection } from 'nats';
import { isErrorCode, KmsError } from '#domain/errors';
import { requestReply } from './nats-request';
import type { ServedRequests } from './served-requests';

/** Requests between Keytrail's services: JSON both ways, an error as `{"error": {code, message}}`. */
const TIMEOUT_MS = 20_000;

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
