import type { Msg, NatsError } from 'nats';

/**
 * The callback of a subscription. What it throws would end the reader of the whole connection, which then hears nothing
 * more: `failed` is told instead. Every subscription with a callback goes by it.
 */
export const messageCallback =
  (heard: (message: Msg) => void, failed: (error: Error) => void) =>
  (error: NatsError | null, message: Msg): void => {
    if (error) {
      failed(error);
      return;
    }
    try {
      heard(message);
    } catch (thrown) {
      failed(thrown as Error);
    }
  };
