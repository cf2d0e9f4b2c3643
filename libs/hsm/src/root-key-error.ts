/** There is no root key that can be used as it is; the message names the place and says what to do. */
export class RootKeyError extends Error {
  override readonly name = 'RootKeyError';
}
