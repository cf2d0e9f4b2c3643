import type { KeyObject } from 'node:crypto';

/**
 * One generation of a key's material, ready for use in memory. Lives only in a crypto-worker.
 * The bytes are outside the JavaScript heap (in no heap snapshot) and OpenSSL wipes them when the object is freed.
 */
export interface BackingKey {
  readonly materialId: string;
  readonly keyArn: string;
  readonly keyObject: KeyObject;
}
