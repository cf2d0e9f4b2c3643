/** What was read is not in the form that its specification asks for. The message says which part is not. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

/** What was read is well formed, and does not prove what it claims. The message says which check failed. */
export class NotProvedError extends Error {
  override readonly name = 'NotProvedError';
}
