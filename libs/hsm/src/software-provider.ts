import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { IV_LENGTH, open, sealInto, TAG_LENGTH } from '#crypto/aes-gcm';
import {
  type HsmProvider,
  HsmUnavailableError,
  type RootKeyRef,
  type Wrapped,
  WrappedMaterialError,
} from './hsm-provider';
import { RootKeyError } from './root-key-error';
import {
  addRootKey,
  createRootKeyFile,
  decodeRootKey,
  type RootKey,
  readRootKeyFile,
  removeRootKeys,
} from './root-key-file';

export interface SoftwareRoot {
  /** 32 bytes in base64, from the environment; goes before the file. */
  rootKeyBase64?: string | undefined;
  /** A 0600 file that keeps the root key, and during a rotation the one after it. */
  rootKeyFile?: string | undefined;
  /** Whether a missing file may be made. Only where no material was ever stored: a new root key could unwrap none of it. */
  mayCreate: boolean;
  /** Which key wraps; the oldest that there is, where nobody knows. */
  key?: RootKeyRef | undefined;
}

interface HeldKey {
  id: string;
  keyObject: KeyObject;
}

const MAX_RANDOM = 1024;

/** Root keys in this process's memory, from a 0600 file or an environment variable. Wraps with AES-256-GCM. */
export class SoftwareHsmProvider implements HsmProvider {
  readonly name = 'software';
  /** By epoch. Their bytes are OpenSSL's, which wipes them when the object is freed. */
  private keys = new Map<number, HeldKey>();
  private current: RootKeyRef;
  private closed = false;

  private constructor(
    keys: readonly RootKey[],
    /** Absent for one from the environment. */
    private readonly file: string | undefined,
    current: RootKeyRef | undefined,
  ) {
    this.hold(keys);
    const [oldest] = keys;
    this.current = current ?? { epoch: oldest!.epoch, id: oldest!.id };
  }

  /** Throws RootKeyError if there is no usable root key. */
  static open(root: SoftwareRoot): SoftwareHsmProvider {
    const keys = rootKeysOf(root);
    const file = root.rootKeyBase64 === undefined ? root.rootKeyFile : undefined;
    const provider = new SoftwareHsmProvider(keys, file, root.key);
    if (!provider.held(provider.current)) throw new RootKeyError(otherEpoch(file, provider.current.epoch, keys));
    return provider;
  }

  async currentEpoch(): Promise<number> {
    return this.current.epoch;
  }

  /** IV || ciphertext || tag. */
  wrap(material: Uint8Array, aad: Uint8Array): Promise<Wrapped> {
    return this.wrapUnder(this.current, material, aad);
  }

  async unwrap({ epoch, ciphertext }: Wrapped, aad: Uint8Array): Promise<Buffer> {
    this.assertOpen();
    // Another process may have begun a rotation.
    const key = this.keys.get(epoch) ?? this.readAnew().get(epoch);
    if (!key) throw new WrappedMaterialError(`wrapped under root key epoch ${epoch}, which there is no key of`);
    const end = ciphertext.length - TAG_LENGTH;
    if (end < IV_LENGTH) throw new WrappedMaterialError('too short to be wrapped material');
    const material = open(
      key.keyObject,
      ciphertext.subarray(0, IV_LENGTH),
      [epochBytes(epoch), aad],
      ciphertext.subarray(IV_LENGTH, end),
      ciphertext.subarray(end),
    );
    if (!material) throw new WrappedMaterialError('altered, or wrapped under another root key');
    return material;
  }

  async random(length: number): Promise<Buffer> {
    this.assertOpen();
    if (!Number.isInteger(length) || length < 1 || length > MAX_RANDOM) {
      throw new RangeError(`random gives 1 to ${MAX_RANDOM} bytes, not ${length}`);
    }
    return randomBytes(length);
  }

  async check(key = this.current): Promise<void> {
    const probe = randomBytes(32);
    const unwrapped = await this.unwrap(await this.wrapUnder(key, probe, probe), probe);
    if (!unwrapped.equals(probe)) throw new HsmUnavailableError('the root key does not unwrap what it wrapped');
  }

  async makeEpoch(epoch: number): Promise<RootKeyRef> {
    this.assertOpen();
    if (this.file === undefined) throw new RootKeyError(OF_THE_ENVIRONMENT);
    const keys = addRootKey(this.file, epoch);
    const { id } = keys.find((key) => key.epoch === epoch)!;
    this.hold(keys);
    return { epoch, id };
  }

  use(key: RootKeyRef): void {
    this.current = key;
  }

  async destroyEpoch(epoch: number): Promise<void> {
    this.assertOpen();
    if (epoch >= this.current.epoch) throw new RangeError(`epoch ${epoch} of the root key is in use`);
    if (this.file === undefined) throw new RootKeyError(OF_THE_ENVIRONMENT);
    this.hold(removeRootKeys(this.file, epoch));
  }

  async close(): Promise<void> {
    this.closed = true;
    this.keys.clear();
  }

  private async wrapUnder(key: RootKeyRef, material: Uint8Array, aad: Uint8Array): Promise<Wrapped> {
    this.assertOpen();
    const { epoch } = key;
    const held = this.held(key);
    if (!held) throw new HsmUnavailableError(`${placeOf(this.file)} has no such root key of epoch ${epoch}`);
    const ciphertext = Buffer.alloc(IV_LENGTH + material.length + TAG_LENGTH);
    const iv = randomBytes(IV_LENGTH);
    iv.copy(ciphertext);
    sealInto(ciphertext, IV_LENGTH, held.keyObject, iv, [epochBytes(epoch), aad], material);
    return { epoch, ciphertext };
  }

  private held({ epoch, id }: RootKeyRef): HeldKey | undefined {
    const key = this.keys.get(epoch) ?? this.readAnew().get(epoch);
    return key?.id === id ? key : undefined;
  }

  /** Other processes may share the file. Where it cannot be read now, what was read before is all that there is. */
  private readAnew(): Map<number, HeldKey> {
    try {
      const found = this.file === undefined ? undefined : readRootKeyFile(this.file);
      if (found) this.hold(found);
    } catch (error) {
      if (!(error instanceof RootKeyError)) throw error;
    }
    return this.keys;
  }

  /** Zeroises what it was given. */
  private hold(keys: readonly RootKey[]): void {
    this.keys = new Map(keys.map(({ epoch, id, bytes }) => [epoch, { id, keyObject: createSecretKey(bytes) }]));
    for (const { bytes } of keys) bytes.fill(0);
  }

  private assertOpen(): void {
    if (this.closed) throw new HsmUnavailableError('the software provider is closed');
  }
}

/** Fixed length, so that epoch || aad is injective. */
function epochBytes(epoch: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(epoch));
  return bytes;
}

const OF_THE_ENVIRONMENT =
  'the root key is in KEYTRAIL_ROOT_KEY, which Keytrail cannot change: stop it, write {"epoch":1,"key":"<that value>"} to root/root-key.json in its data folder (mode 0600), start it without KEYTRAIL_ROOT_KEY, and try again; once that is done, erase the value wherever it is kept';

const placeOf = (file: string | undefined): string => file ?? 'KEYTRAIL_ROOT_KEY';

const otherEpoch = (file: string | undefined, epoch: number, keys: readonly RootKeyRef[]): string =>
  `${placeOf(file)}: the log names another root key, of epoch ${epoch} (it has ${keys.map((key) => key.epoch).join(', ')}); restore the one of after the last rotation, or log and material that belong to this one`;

function rootKeysOf({ rootKeyBase64, rootKeyFile, mayCreate }: SoftwareRoot): RootKey[] {
  if (rootKeyBase64 !== undefined) {
    return [{ epoch: 1, id: '', bytes: decodeRootKey(rootKeyBase64, 'KEYTRAIL_ROOT_KEY') }];
  }
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
