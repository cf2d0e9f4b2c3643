import { randomBytes } from 'node:crypto';
import { IV_LENGTH, TAG_LENGTH } from '#crypto/aes-gcm';
import {
  type HsmProvider,
  HsmUnavailableError,
  type RootKeyRef,
  type Wrapped,
  WrappedMaterialError,
} from '../hsm-provider';
import { RootKeyError } from '../root-key-error';
import type { AskedOf, GivenBy, OpenToken, TokenKey } from './token-calls';
import { TokenClient, type TokenLimits, TokenRefusedError } from './token-client';

const LABEL = 'keytrail-root-';
const ID_BYTES = 8;
const MAX_RANDOM = 1024;
const OPEN_PAUSE_MS = 150;

const PROOF_BYTES = 16;
const PROOF_AAD = Buffer.from('keytrail root key proof', 'latin1');

interface Proof {
  iv: Buffer;
  sealed: Buffer;
}

export interface Pkcs11Root extends OpenToken {
  /** Whether a missing root key may be made. Only where no material was ever stored. */
  mayCreate: boolean;
  /** Which key wraps; where nobody knows, that of the oldest epoch: a newer one was made for a rotation that never began. */
  key?: RootKeyRef | undefined;
}

/**
 * A root key that an HSM made and does not give out: AES-256, with the label `keytrail-root-<epoch>`. Wraps with AES-256-GCM
 * inside the HSM. Wrapped material names its key by id: where two crypto-workers made the first root key at once both stay,
 * and whatever either has wrapped can be unwrapped.
 */
export class Pkcs11HsmProvider implements HsmProvider {
  readonly name = 'pkcs11';
  /** By key id: what it encrypted first here. */
  private readonly proofs = new Map<string, Proof>();

  private constructor(
    private readonly token: TokenClient,
    private readonly label: string,
    private current: RootKeyRef,
  ) {}

  /** Throws RootKeyError where there is no root key that can be used as it is, HsmUnavailableError without the HSM. */
  static async open(
    { mayCreate, key, ...place }: Pkcs11Root,
    limits: Partial<TokenLimits> = {},
  ): Promise<Pkcs11HsmProvider> {
    const token = new TokenClient(place, limits);
    try {
      const current = await onceAvailable(() => currentKey(token, place.label, mayCreate, key), token.limits.openMs);
      const provider = new Pkcs11HsmProvider(token, place.label, current);
      // Before anything that was wrapped earlier is unwrapped, and so shows that this is the key.
      await provider.prove(current.id);
      return provider;
    } catch (error) {
      await token.close();
      if (error instanceof TokenRefusedError) throw new RootKeyError(`the token ${place.label}: ${error.message}`);
      throw error;
    }
  }

  /** Of the process that drives the HSM. */
  get pid(): number | undefined {
    return this.token.pid;
  }

  async currentEpoch(): Promise<number> {
    return this.current.epoch;
  }

  /** Key id || IV || ciphertext || tag. */
  wrap(material: Uint8Array, aad: Uint8Array): Promise<Wrapped> {
    return this.wrapUnder(this.current, material, aad);
  }

  private async wrapUnder({ epoch, id }: RootKeyRef, material: Uint8Array, aad: Uint8Array): Promise<Wrapped> {
    const iv = randomBytes(IV_LENGTH);
    const sealed = await this.ask('encrypt', { id, iv, aad: bound(epoch, aad), data: material });
    await this.prove(id);
    return { epoch, ciphertext: Buffer.concat([Buffer.from(id, 'hex'), iv, sealed]) };
  }

  async unwrap({ epoch, ciphertext }: Wrapped, aad: Uint8Array): Promise<Buffer> {
    const bytes = Buffer.from(ciphertext);
    if (bytes.length < ID_BYTES + IV_LENGTH + TAG_LENGTH)
      throw new WrappedMaterialError('too short to be wrapped material');
    const id = bytes.subarray(0, ID_BYTES).toString('hex');
    const iv = bytes.subarray(ID_BYTES, ID_BYTES + IV_LENGTH);
    const data = bytes.subarray(ID_BYTES + IV_LENGTH);
    try {
      return Buffer.from(await this.ask('decrypt', { id, iv, aad: bound(epoch, aad), data }));
    } catch (error) {
      if (!(error instanceof TokenRefusedError)) throw error;
      if (error.failure === 'altered' && this.proofs.has(id)) await this.prove(id);
      throw new WrappedMaterialError(
        error.failure === 'no-key'
          ? `wrapped under a root key of epoch ${epoch} that the HSM does not have`
          : 'altered, or wrapped under another root key',
      );
    }
  }

  async random(length: number): Promise<Buffer> {
    if (!Number.isInteger(length) || length < 1 || length > MAX_RANDOM) {
      throw new RangeError(`random gives 1 to ${MAX_RANDOM} bytes, not ${length}`);
    }
    return Buffer.from(await this.ask('random', { length }));
  }

  /**
   * That the key is the one that it was. One whose data is damaged may be loaded as another key, which unwraps all that it wraps
   * itself, and nothing else, ever after.
   */
  private async prove(id: string): Promise<void> {
    const known = this.proofs.get(id);
    if (!known) {
      const [iv, data, aad] = [randomBytes(IV_LENGTH), randomBytes(PROOF_BYTES), PROOF_AAD];
      this.proofs.set(id, { iv, sealed: Buffer.from(await this.ask('encrypt', { id, iv, aad, data })) });
      return;
    }
    try {
      await this.ask('decrypt', { id, iv: known.iv, aad: PROOF_AAD, data: known.sealed });
    } catch (error) {
      if (!(error instanceof TokenRefusedError)) throw error;
      const why = `the root key in the token ${this.label} is not the one that it was; restore the token from its backup`;
      // Its next process loads it anew.
      this.token.restart(why);
      throw new HsmUnavailableError(why);
    }
  }

  /** An HSM that does not let Keytrail in any more is as good as none. */
  private async ask<C extends 'encrypt' | 'decrypt' | 'random'>(name: C, asked: AskedOf<C>): Promise<GivenBy<C>> {
    try {
      return await this.token.call(name, asked);
    } catch (error) {
      if (!(error instanceof TokenRefusedError) || error.failure !== 'refused') throw error;
      throw new HsmUnavailableError(error.message);
    }
  }

  /** What a token that was taken away still says of itself is not believed: the root key has to work. */
  async check(key = this.current): Promise<void> {
    const probe = randomBytes(32);
    const unwrapped = await this.unwrap(await this.wrapUnder(key, probe, probe), probe);
    if (!unwrapped.equals(probe)) throw new HsmUnavailableError('the root key does not unwrap what it wrapped');
  }

  /** Where two make one at once both stay: whoever begins to use one says which. */
  async makeEpoch(epoch: number): Promise<RootKeyRef> {
    const found = await rootKeys(this.token, true);
    const [key = await this.made(epoch)] = ofEpoch(found, epoch);
    return usable(this.label, key);
  }

  private async made(epoch: number): Promise<RootKey> {
    const id = randomBytes(ID_BYTES).toString('hex');
    return { ...(await this.token.call('generateKey', { label: `${LABEL}${epoch}`, id })), epoch };
  }

  use(key: RootKeyRef): void {
    this.current = key;
  }

  async destroyEpoch(epoch: number): Promise<void> {
    if (epoch >= this.current.epoch) throw new RangeError(`epoch ${epoch} of the root key is in use`);
    const doomed = async () => (await rootKeys(this.token, true)).filter((key) => key.epoch <= epoch);
    for (const { id } of await doomed()) await this.token.call('destroyKey', { id });
    if ((await doomed()).length > 0)
      throw new HsmUnavailableError(`the token ${this.label} keeps keys of epoch ${epoch}`);
  }

  close(): Promise<void> {
    return this.token.close();
  }
}

/** Tokens that several processes open at once are not always found at the first try. */
async function onceAvailable<T>(ask: () => Promise<T>, forMs: number): Promise<T> {
  for (const deadline = performance.now() + forMs; ; ) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof HsmUnavailableError) || performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, OPEN_PAUSE_MS));
    }
  }
}

/** The one that was asked for; else that of the oldest epoch, of several the one whose id comes first, so that all use the same. */
async function currentKey(
  token: TokenClient,
  label: string,
  mayCreate: boolean,
  asked: RootKeyRef | undefined,
): Promise<RootKeyRef> {
  const found = await rootKeysSeen(token);
  if (asked) {
    const isAsked = ({ epoch, id }: RootKey): boolean => epoch === asked.epoch && id === asked.id;
    const key = found.find(isAsked) ?? (await rootKeys(token, true)).find(isAsked);
    if (key) return usable(label, key);
    const has = found.length === 0 ? 'none' : found.map(({ epoch, id }) => `${epoch} (${id})`).join(', ');
    throw new RootKeyError(
      `the token ${label} has no root key of epoch ${asked.epoch} with the id ${asked.id}, which the log names; it has ${has}: restore the token of after the last rotation, or log and material that belong to this one`,
    );
  }
  if (found.length === 0 && mayCreate) {
    await token.call('generateKey', { label: `${LABEL}1`, id: randomBytes(ID_BYTES).toString('hex') });
    found.push(...(await rootKeysSeen(token)));
    // It is asked again, and uses what was made by then.
    if (found.length === 0) throw new HsmUnavailableError(`the token ${label} does not show the root key that it made`);
  }
  const [current] = ofEpoch(found, Math.min(...found.map(({ epoch }) => epoch)));
  if (!current) {
    throw new RootKeyError(
      `the token ${label} has no root key, but there is key material that one wrapped; restore the token from its backup`,
    );
  }
  return usable(label, current);
}

type RootKey = TokenKey & { epoch: number };

/** Throws RootKeyError for one that is not only in the token. */
function usable(label: string, { epoch, id, extractable }: RootKey): RootKeyRef {
  if (!extractable) return { epoch, id };
  throw new RootKeyError(
    `the root key of the token ${label} can be taken out of it: use one that the HSM made for Keytrail`,
  );
}

const ofEpoch = (keys: readonly RootKey[], epoch: number): RootKey[] =>
  keys.filter((key) => key.epoch === epoch).sort((a, b) => (a.id < b.id ? -1 : 1));

/** `anew`: what other processes have made since the module was loaded, too. */
/** While other processes write to it, SoftHSM may show nothing of what there is. */
async function rootKeysSeen(token: TokenClient): Promise<RootKey[]> {
  const found = await rootKeys(token);
  return found.length > 0 ? found : rootKeys(token, true);
}

const rootKeys = async (token: TokenClient, anew = false): Promise<RootKey[]> =>
  (await token.call('keys', { labelPrefix: LABEL, anew }))
    .map((key) => ({ ...key, epoch: Number(key.label.slice(LABEL.length)) }))
    .filter(({ epoch, id }) => Number.isSafeInteger(epoch) && epoch > 0 && id.length === ID_BYTES * 2);

/** Fixed length, so that epoch || aad is injective. */
function bound(epoch: number, aad: Uint8Array): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(epoch));
  return Buffer.concat([bytes, aad]);
}
