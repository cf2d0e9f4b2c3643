import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { IV_LENGTH, open, sealInto, TAG_LENGTH } from '#crypto/aes-gcm';
import { type HsmProvider, HsmUnavailableError, type Wrapped, WrappedMaterialError } from './hsm-provider';
import { RootKeyError } from './root-key-error';
import { createRootKeyFile, decodeRootKey, type RootKey, readRootKeyFile } from './root-key-file';

export interface SoftwareRoot {
  /** 32 bytes in base64, from the environment; goes before the file. */
  rootKeyBase64?: string | undefined;
  /** A 0600 file that keeps the root key. */
  rootKeyFile?: string | undefined;
  /** Whether a missing file may be made. Only where no material was ever stored: a new root key could unwrap none of it. */
  mayCreate: boolean;
}

const MAX_RANDOM = 1024;

/** A root key in this process's memory, from a 0600 file or an environment variable. Wraps with AES-256-GCM. */
export class SoftwareHsmProvider implements HsmProvider {
  readonly name = 'software';

  private constructor(
    private readonly epoch: number,
    private rootKey: KeyObject | undefined,
  ) {}

  /** Throws RootKeyError if there is no usable root key. */
  static open(root: SoftwareRoot): SoftwareHsmProvider {
    const { epoch, bytes } = rootKeyOf(root);
    const rootKey = createSecretKey(bytes);
    bytes.fill(0);
    return new SoftwareHsmProvider(epoch, rootKey);
  }

  async currentEpoch(): Promise<number> {
    return this.epoch;
  }

  /** IV || ciphertext || tag. */
  async wrap(material: Uint8Array, aad: Uint8Array): Promise<Wrapped> {
    const ciphertext = Buffer.alloc(IV_LENGTH + material.length + TAG_LENGTH);
    const iv = randomBytes(IV_LENGTH);
    iv.copy(ciphertext);
    sealInto(ciphertext, IV_LENGTH, this.opened(), iv, [this.epochBytes(), aad], material);
    return { epoch: this.epoch, ciphertext };
  }

  async unwrap({ epoch, ciphertext }: Wrapped, aad: Uint8Array): Promise<Buffer> {
    const rootKey = this.opened();
    if (epoch !== this.epoch)
      throw new WrappedMaterialError(`wrapped under root key epoch ${epoch}, not ${this.epoch}`);
    const end = ciphertext.length - TAG_LENGTH;
    if (end < IV_LENGTH) throw new WrappedMaterialError('too short to be wrapped material');
    const material = open(
      rootKey,
      ciphertext.subarray(0, IV_LENGTH),
      [this.epochBytes(), aad],
      ciphertext.subarray(IV_LENGTH, end),
      ciphertext.subarray(end),
    );
    if (!material) throw new WrappedMaterialError('altered, or wrapped under another root key');
    return material;
  }

  async random(length: number): Promise<Buffer> {
    this.opened();
    if (!Number.isInteger(length) || length < 1 || length > MAX_RANDOM) {
      throw new RangeError(`random gives 1 to ${MAX_RANDOM} bytes, not ${length}`);
    }
    return randomBytes(length);
  }

  async check(): Promise<void> {
    const probe = randomBytes(32);
    const unwrapped = await this.unwrap(await this.wrap(probe, probe), probe);
    if (!unwrapped.equals(probe)) throw new HsmUnavailableError('the root key does not unwrap what it wrapped');
  }

  async close(): Promise<void> {
    // The bytes are OpenSSL's, which wipes them when the object is freed.
    this.rootKey = undefined;
  }

  private opened(): KeyObject {
    if (!this.rootKey) throw new HsmUnavailableError('the software provider is closed');
    return this.rootKey;
  }

  /** Fixed length, so that epoch || aad is injective. */
  private epochBytes(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(this.epoch));
    return bytes;
  }
}

function rootKeyOf({ rootKeyBase64, rootKeyFile, mayCreate }: SoftwareRoot): RootKey {
  if (rootKeyBase64 !== undefined) return { epoch: 1, bytes: decodeRootKey(rootKeyBase64, 'KEYTRAIL_ROOT_KEY') };
  if (rootKeyFile === undefined) throw new RootKeyError('no root key: set KEYTRAIL_ROOT_KEY or name a root key file');
  const found = readRootKeyFile(rootKeyFile);
  if (found) return found;
  if (mayCreate) {
    createRootKeyFile(rootKeyFile);
    const created = readRootKeyFile(rootKeyFile);
    if (created) return created;
  }
  throw new RootKeyError(
    `${rootKeyFile}: missing, but there is key material that it wrapped; restore it from its backup or set KEYTRAIL_ROOT_KEY`,
  );
}
