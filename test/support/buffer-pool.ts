/**
 * Whether these bytes lie in the memory that Node gives small buffers of: what was put there and not wiped comes back to
 * light in whatever is made there next.
 */
export const isInBufferPool = (bytes: Uint8Array): boolean =>
  Buffer.from(Buffer.allocUnsafe(1).buffer).includes(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
