import { ErrorCode, type Msg, type MsgHdrs, type NatsConnection, NatsError } from 'nats';
import { KmsError } from '#domain/errors';
import { withTrace } from './tracing';

const NOBODY_THERE_RETRIES = 40;
const NOBODY_THERE_PAUSE_MS = 250;

export interface RequestOptions {
  /** For the answer of whoever is there. The wait for somebody to be there, 10 s at most, comes on top. */
  timeoutMs: number;
  headers?: MsgHdrs;
  /**
   * Only for what is harmless to repeat: one that has not answered by then has died over it, or its answer was lost, so
   * another is asked, as long as it would have the time as well within `timeoutMs`.
   */
  attemptMs?: number;
  /** Called before each such repetition. */
  onRepeat?(): void;
}

/**
 * One request to whichever instance serves the subject. With nobody there to answer it asks again for a while: nothing
 * has been done yet. Rejects with KmsError alone: RequestEntityTooLargeException for more than the NATS server takes,
 * DependencyTimeoutException where no answer came and it is not known what was done.
 */
export async function requestReply(
  nats: NatsConnection,
  subject: string,
  payload: Uint8Array | string,
  { timeoutMs, attemptMs = timeoutMs, headers: given, onRepeat }: RequestOptions,
): Promise<Msg> {
  const headers = withTrace(given);
  const deadline = performance.now() + timeoutMs;
  for (let unserved = 0; ; ) {
    try {
      return await nats.request(subject, payload, { timeout: attemptMs, ...(headers && { headers }) });
    } catch (error) {
      const code = error instanceof NatsError ? error.code : '';
      if (code === ErrorCode.NoResponders && unserved++ < NOBODY_THERE_RETRIES) {
        await new Promise((resolve) => setTimeout(resolve, NOBODY_THERE_PAUSE_MS));
      } else if (code !== ErrorCode.Timeout || performance.now() + attemptMs > deadline) {
        throw inWords(error);
      } else onRepeat?.();
    }
  }
}

const NO_ANSWER: string[] = [
  ErrorCode.NoResponders,
  ErrorCode.Timeout,
  ErrorCode.ConnectionClosed,
  ErrorCode.ConnectionDraining,
  ErrorCode.Disconnect,
];

function inWords(error: unknown): KmsError {
  const code = error instanceof NatsError ? error.code : '';
  if (code === ErrorCode.MaxPayloadExceeded) {
    return new KmsError('RequestEntityTooLargeException', 'The request is larger than the NATS server takes.', error);
  }
  if (NO_ANSWER.includes(code)) {
    return new KmsError('DependencyTimeoutException', 'The request was not answered in time; try again.', error);
  }
  return new KmsError('KMSInternalException', 'An internal error occurred.', error);
}
