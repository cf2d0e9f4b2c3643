import type { KeyObject } from 'node:crypto';
import type { KeySpec } from '#domain/key/key-kinds';

/**
 * One generation of a key's material, ready for use in memory. Lives only in a crypto-worker.
 * The bytes are outside the JavaScript heap (in no heap snapshot) and OpenSSL wipes them when the object is freed.
 */
export interface BackingKey {
  readonly materialId: string;
  readonly keyArn: string;
  readonly keySpec: KeySpec;
  /** As `openMaterial` of libs/crypto/src/key-material.ts has it: a secret or a private key. */
  readonly keyObject: KeyObject;
}
