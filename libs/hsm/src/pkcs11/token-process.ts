import type { Token } from './token';
import type { OpenToken, TokenReply, TokenRequest } from './token-calls';
import { inWords, TokenCallError } from './token-errors';

/**
 * The process that drives one HSM. It knows the PIN from its first call, and nothing else; it ends with whoever started it.
 * A crash, or a kill, leaves behind what the module does: sessions that the HSM closes by itself.
 */
let token: Token | undefined;

/** It is an optional dependency, which a machine without a compiler goes without. */
async function loaded(): Promise<typeof import('./token')> {
  try {
    return await import('./token.js');
  } catch {
    throw new TokenCallError(
      'refused',
      'pkcs11js is not installed: run npm install pkcs11js, which takes a C++ compiler',
    );
  }
}

async function answer({ name, asked }: TokenRequest): Promise<unknown> {
  if (name === 'open') {
    token = (await loaded()).Token.open(asked as OpenToken);
    return token.info;
  }
  if (!token) throw new TokenCallError('unavailable', 'no token is open');
  const call = token[name] as (this: Token, asked: unknown) => Promise<unknown>;
  try {
    return await call.call(token, asked);
  } finally {
    // What was to be encrypted.
    const { data } = asked as { data?: Uint8Array };
    data?.fill(0);
  }
}

function reply(message: TokenReply, given?: unknown): void {
  process.send!(message, undefined, undefined, () => {
    if (given instanceof Uint8Array) given.fill(0);
    if (token?.broken) process.exit(1);
  });
}

process.on('message', (request: TokenRequest) => {
  const { nth, name } = request;
  answer(request).then(
    (given) => reply({ nth, given }, given),
    (error: unknown) => {
      const { failure, message, code } = inWords(name, error);
      reply({ nth, failure, what: message, code });
    },
  );
});
process.on('disconnect', () => process.exit(0));
// The whole group gets Ctrl-C; whoever started this ends it when it is done.
process.on('SIGINT', () => {});
