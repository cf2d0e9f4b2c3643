/** Where the environment of a test file keeps what the server answers while one of its tests runs. */
export const OBSERVED = Symbol.for('keytrail.observed-errors');

export interface ObservedError {
  operation: string;
  code: string;
}

/** To be told of every error that a server answered a test with: the conformance report rests on it. */
export function observeError(operation: string, code: string): void {
  const observed = (globalThis as { [OBSERVED]?: ObservedError[] })[OBSERVED];
  observed?.push({ operation, code });
}

/** Of a reply in JSON, which may be none. */
export function observeReply(operation: string, body: string | Uint8Array): void {
  const said = /^\{"__type":"(\w+)"/.exec(Buffer.from(body).subarray(0, 256).toString('utf8'));
  if (said) observeError(operation, said[1]!);
}

interface ObservableClient {
  middlewareStack: {
    add(
      // biome-ignore lint/suspicious/noExplicitAny: the handlers of one client's commands, whatever they are.
      middleware: (next: any, context: any) => (input: any) => Promise<any>,
      options: { step: 'initialize'; name: string },
    ): void;
  };
}

/** The same client, of AWS's SDK: errors that its server answers are observed on their way to the caller. */
export function observed<Client extends ObservableClient>(client: Client): Client {
  client.middlewareStack.add(
    (next: (input: unknown) => Promise<unknown>, context: { commandName?: string }) => async (input: unknown) => {
      try {
        return await next(input);
      } catch (error) {
        const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
        if ($metadata?.httpStatusCode !== undefined)
          observeError((context.commandName ?? '').replace(/Command$/, ''), name);
        throw error;
      }
    },
    { step: 'initialize', name: 'observeErrors' },
  );
  return client;
}
