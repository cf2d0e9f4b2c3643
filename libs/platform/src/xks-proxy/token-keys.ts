import { randomBytes } from 'node:crypto';
import { HsmUnavailableError } from '#hsm/hsm-provider';
import type { LabelledKey } from '#hsm/pkcs11/token-calls';
import { type TokenClient, TokenRefusedError } from '#hsm/pkcs11/token-client';
import type { Sealed } from '#xks/integrity';
import { LIMITS } from '#xks/limits';
import type { ExternalKey, KeyManager } from '#xks/proxy';
import { ProxyError } from '#xks/proxy-error';
import type { ProxyHealth } from '#xks/replies';

const IV_BYTES = 12;
const VENDOR = 'Keytrail';
const MODEL = 'Keytrail XKS proxy 1';
/** How long the attributes of a key are believed. Whether it is there at all the token says each time. */
const KEPT_MS = 1_000;
const KEPT = 1_000;

interface Kept {
  keys: readonly LabelledKey[];
  until: number;
}

/** The keys of one token, as a proxy uses them. */
export class TokenKeys {
  private readonly kept = new Map<string, Kept>();

  constructor(
    private readonly token: TokenClient,
    /** Not to be used for anything else. */
    private readonly healthKey: string,
    private readonly fleetSize: number,
  ) {}

  /** For one request: whatever it asks of the HSM has to be answered within `ms` in all. */
  within(ms: number): KeyManager {
    const deadline = performance.now() + ms;
    const inTime = <T>(work: Promise<T>): Promise<T> => answeredBy(deadline, work);
    return {
      find: (name, anew) => inTime(this.find(name, anew)),
      encrypt: (key, plaintext, aad) => inTime(this.encrypt(key, plaintext, aad)),
      decrypt: (key, sealed, aad) => inTime(this.decrypt(key, sealed, aad)),
      health: () => inTime(this.health()),
    };
  }

  /** Makes the key that health is tried with, where there is none. Two proxies that start at once may each make one: either does. */
  async prepare(): Promise<void> {
    if ((await this.token.call('keysLabelled', { label: this.healthKey })).length > 0) return;
    await this.token.call('generateKey', { label: this.healthKey, id: randomBytes(8).toString('hex') });
  }

  private async find(name: string, anew = false): Promise<readonly ExternalKey[]> {
    // Its calls would be in nobody's records of KMS.
    if (name === this.healthKey) return [];
    return (await this.labelled(name, anew)).map((key) => ({ ...key, name }));
  }

  private async labelled(label: string, anew = false): Promise<readonly LabelledKey[]> {
    const kept = this.kept.get(label);
    if (!anew && kept && performance.now() < kept.until) return kept.keys;
    const keys = await this.token.call('keysLabelled', { label, anew });
    if (this.kept.size >= KEPT) this.kept.clear();
    if (keys.length > 0) this.kept.set(label, { keys, until: performance.now() + KEPT_MS });
    else this.kept.delete(label);
    return keys;
  }

  private async encrypt({ id, name }: Pick<ExternalKey, 'id' | 'name'>, plaintext: Uint8Array, aad: Uint8Array) {
    const initializationVector = randomBytes(IV_BYTES);
    const sealed = Buffer.from(
      await this.token.call('encrypt', { id, label: name, iv: initializationVector, aad, data: plaintext }),
    );
    const tagAt = plaintext.length;
    if (sealed.length !== tagAt + LIMITS.authenticationTag) {
      throw new ProxyError('InternalException', 'The key manager gave a ciphertext of another length.');
    }
    return { ciphertext: sealed.subarray(0, tagAt), authenticationTag: sealed.subarray(tagAt), initializationVector };
  }

  private async decrypt(
    { id, name }: Pick<ExternalKey, 'id' | 'name'>,
    { ciphertext, initializationVector, authenticationTag }: Sealed,
    aad: Uint8Array,
  ): Promise<Buffer> {
    const data = Buffer.concat([ciphertext, authenticationTag]);
    return Buffer.from(await this.token.call('decrypt', { id, label: name, iv: initializationVector, aad, data }));
  }

  /** A key of its own is used: a token that is gone may say for long that all is well. */
  private async health(): Promise<ProxyHealth> {
    const [key] = await this.labelled(this.healthKey);
    if (!key) throw new ProxyError('InternalException', 'The key that health is tried with is gone.');
    const named = { id: key.id, name: this.healthKey };
    const probe = randomBytes(16);
    const opened = await this.decrypt(named, await this.encrypt(named, probe, probe), probe);
    if (!opened.equals(probe)) throw new ProxyError('InternalException', 'The key manager does not decrypt.');
    const { manufacturer, model, serial } = await this.token.info();
    return {
      xksProxyFleetSize: this.fleetSize,
      xksProxyVendor: VENDOR,
      xksProxyModel: MODEL,
      ekmVendor: manufacturer || 'unknown',
      ekmFleetDetails: [{ id: serial || 'unknown', model: model || 'unknown', healthStatus: 'ACTIVE' }],
    };
  }
}

/** What comes too late is let go of. */
function answeredBy<T>(deadline: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const left = Math.max(0, Math.ceil(deadline - performance.now()));
    let tooLate = false;
    const timer = setTimeout(() => {
      tooLate = true;
      reject(new ProxyError('DependencyTimeoutException', TOO_LATE));
    }, left);
    work.then(
      (done) => {
        clearTimeout(timer);
        // A plaintext that nobody gets.
        if (tooLate && done instanceof Uint8Array) done.fill(0);
        resolve(done);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(inWords(error));
      },
    );
  });
}

const TOO_LATE = 'The key manager did not answer in time.';

/** What the HSM says, in the words of the API. */
function inWords(error: unknown): unknown {
  const cause = { cause: error };
  if (error instanceof HsmUnavailableError) {
    return new ProxyError('InternalException', 'The key manager is not available.', cause);
  }
  if (!(error instanceof TokenRefusedError)) return error;
  switch (error.failure) {
    case 'altered':
      return new ProxyError(
        'InvalidCiphertextException',
        'The ciphertext, or what it was bound to, is not what this external key has encrypted.',
      );
    case 'no-key':
      return new ProxyError('KeyNotFoundException', 'The external key is gone.', cause);
    case 'refused':
      return new ProxyError('InternalException', 'The key manager does not let this proxy in.', cause);
  }
}
