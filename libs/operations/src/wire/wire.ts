/** AWS JSON 1.1, of requests and replies alike. */
export const CONTENT_TYPE = 'application/x-amz-json-1.1';

/** A reply of the SDK's type as it goes over the wire: blobs in base64, dates in epoch seconds. */
export type Wire<T> = T extends Uint8Array
  ? string
  : T extends Date
    ? number
    : T extends readonly (infer E)[]
      ? Wire<E>[]
      : T extends string | number | boolean | undefined
        ? T
        : T extends object
          ? { [K in keyof T as K extends '$metadata' ? never : K]: Wire<T[K]> }
          : T;

/** Epoch seconds with a fraction, as AWS JSON 1.1 writes dates. */
export const epochSeconds = (iso: string): number => Date.parse(iso) / 1000;

/** Of bytes that may have come from another thread. */
export const base64 = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');
