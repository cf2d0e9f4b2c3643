import { endianness } from 'node:os';
import * as pkcs11 from 'pkcs11js';
import { createToken } from './create-token';
import { buffer, decryptWith, encryptWith, gcm, isSame, works } from './gcm-calls';
import { makeMasked, unmask } from './masking';
import { SessionPool } from './session-pool';
import type { AskedOf, GivenBy, KeyName, LabelledKey, OpenToken, TokenInfo, TokenKey } from './token-calls';
import { isLostHandle, isLostSession, mayBeAltered, TokenCallError } from './token-errors';
import { initialized } from './token-slot';

/** How many ids are remembered. */
const MISSING_KEPT = 1_000;
/** The least time between two loadings of the module for labels that it does not find. */
const LOOK_ANEW_MS = 1_000;

type Handle = pkcs11.Handle;

class MissingKeyError extends TokenCallError {
  constructor(readonly key: KeyName) {
    super('no-key', `the token has no key with the id ${key.id}`);
  }
}

/** One token of one module, logged in. Only a process of its own has one: a vendor's library may hang, or crash it. */
export class Token {
  private readonly handles = new Map<string, Handle>();

  /** Ids of keys that are what is masked, since the module was loaded: it may have read another file than before. */
  private readonly checked = new Set<string>();
  /** Ids of keys that it was looked for anew, and does not have. */
  private readonly missing = new Set<string>();
  private lookedAnewAt = Number.NEGATIVE_INFINITY;

  private constructor(
    private readonly module: pkcs11.PKCS11,
    private readonly place: OpenToken,
    readonly info: TokenInfo,
    private readonly sessions: SessionPool,
  ) {}

  static open(place: OpenToken): Token {
    const module = new pkcs11.PKCS11();
    try {
      module.load(place.module);
    } catch {
      throw new TokenCallError('refused', `${place.module}: no PKCS#11 module that can be loaded`);
    }
    if (place.create) createToken(module, place);
    const { slot, info } = initialized(module, place);
    return new Token(module, place, info, new SessionPool(module, slot, place.pin, place.sessions));
  }

  get broken(): boolean {
    return this.sessions.broken;
  }

  async keys({ labelPrefix, anew }: AskedOf<'keys'>): Promise<TokenKey[]> {
    if (anew) await this.beginAnew();
    return this.again((session) =>
      this.found(session, [
        { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
        { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
      ])
        .map((handle) => this.described(session, handle))
        .filter((key) => key.label.startsWith(labelPrefix)),
    );
  }

  async keysLabelled({ label, anew = false }: AskedOf<'keysLabelled'>): Promise<LabelledKey[]> {
    const found = await this.again((session) => this.labelled(session, label));
    if ((found.length > 0 && !anew) || performance.now() < this.lookedAnewAt + LOOK_ANEW_MS) return found;
    // Somebody may be about to make it: unlike an id, a label that is missing is not remembered.
    this.lookedAnewAt = performance.now();
    await this.beginAnew();
    return this.again((session) => this.labelled(session, label));
  }

  /** Not tried again: a module that lost its session over it may have made the key. */
  async generateKey(asked: AskedOf<'generateKey'>): Promise<TokenKey> {
    const { label, id, mayEncrypt = true, mayDecrypt = true } = asked;
    return this.sessions.with((session) => {
      const handle = this.module.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN }, [
        { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
        { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
        { type: pkcs11.CKA_VALUE_LEN, value: 32 },
        { type: pkcs11.CKA_LABEL, value: label },
        { type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') },
        ...[pkcs11.CKA_TOKEN, pkcs11.CKA_PRIVATE, pkcs11.CKA_SENSITIVE].map((type) => ({ type, value: true })),
        { type: pkcs11.CKA_ENCRYPT, value: mayEncrypt },
        { type: pkcs11.CKA_DECRYPT, value: mayDecrypt },
        ...[pkcs11.CKA_EXTRACTABLE, pkcs11.CKA_WRAP, pkcs11.CKA_UNWRAP].map((type) => ({ type, value: false })),
      ]);
      return this.described(session, handle);
    });
  }

  /** Harmless where there is none. */
  async destroyKey({ id }: AskedOf<'destroyKey'>): Promise<undefined> {
    await this.again((session) => {
      this.destroyAll(session, id);
    });
    return undefined;
  }

  async encrypt({ iv, aad, data, checked, ...key }: AskedOf<'encrypt'>): Promise<GivenBy<'encrypt'>> {
    if (checked) this.assertChecked(key);
    return this.again((session) => this.encryptOnce(session, key, gcm(iv, aad), buffer(data)));
  }

  async decrypt({ iv, aad, data, checked, ...key }: AskedOf<'decrypt'>): Promise<GivenBy<'decrypt'>> {
    if (checked) this.assertChecked(key);
    return this.again(async (session) => {
      const mechanism = gcm(iv, aad);
      try {
        return await this.decryptOnce(session, key, mechanism, buffer(data));
      } catch (error) {
        if (mayBeAltered(error) && (await this.works(session, key))) {
          throw new TokenCallError('altered', 'the tag does not fit');
        }
        throw error;
      }
    });
  }

  async random({ length }: AskedOf<'random'>): Promise<GivenBy<'random'>> {
    return this.again((session) => this.module.C_GenerateRandom(session, Buffer.alloc(length)));
  }

  /** Not tried again: a session object of a session that is lost is gone with it. */
  async makeMasked(): Promise<GivenBy<'makeMasked'>> {
    return this.sessions.with((session) => makeMasked(this.module, session));
  }

  async unmask({ id, masked }: AskedOf<'unmask'>): Promise<undefined> {
    await this.again((session) => {
      if (this.found(session, byName({ id })).length === 0) unmask(this.module, session, id, buffer(masked));
      this.missing.delete(nameOf({ id }));
    });
    return undefined;
  }

  async check({ id, masked }: AskedOf<'check'>): Promise<undefined> {
    await this.again(async (session) => {
      const handle = this.handle(session, { id });
      if (!(await isSame(this.module, session, handle, buffer(masked), id))) {
        // A crash in between leaves a member without the key, which it gets as any key that it lacks.
        this.destroyAll(session, id);
        unmask(this.module, session, id, buffer(masked));
      }
      this.checked.add(id);
    });
    return undefined;
  }

  async setPin({ pin }: AskedOf<'setPin'>): Promise<undefined> {
    await this.sessions.with((session) => this.module.C_SetPIN(session, this.place.pin, pin));
    this.place.pin = pin;
    return undefined;
  }

  private assertChecked({ id }: KeyName): void {
    if (!this.checked.has(id)) throw new TokenCallError('unchecked', 'the key was not checked yet');
  }

  private destroyAll(session: Handle, id: string): void {
    for (const handle of this.found(session, byId(id))) this.module.C_DestroyObject(session, handle);
    this.handles.clear();
    this.checked.delete(id);
  }

  private async works(session: Handle, key: KeyName): Promise<boolean> {
    try {
      return await works(this.module, session, this.handle(session, key));
    } catch {
      return false;
    }
  }

  private async encryptOnce(session: Handle, key: KeyName, mechanism: pkcs11.Mechanism, data: Buffer): Promise<Buffer> {
    return encryptWith(this.module, session, this.handle(session, key), mechanism, data);
  }

  private async decryptOnce(session: Handle, key: KeyName, mechanism: pkcs11.Mechanism, data: Buffer): Promise<Buffer> {
    return decryptWith(this.module, session, this.handle(session, key), mechanism, data);
  }

  /** On a session, and once more on new ones where those that there were are lost. */
  private async again<T>(work: (session: Handle) => T | Promise<T>): Promise<T> {
    const { generation } = this.sessions;
    try {
      return await this.sessions.with(work);
    } catch (error) {
      if (isLostHandle(error)) this.handles.clear();
      else if (error instanceof MissingKeyError) await this.lookAnew(error.key);
      else if (isLostSession(error)) {
        this.handles.clear();
        this.sessions.reopen(generation);
      } else throw error;
      return this.sessions.with(work);
    }
  }

  private handle(session: Handle, key: KeyName): Handle {
    const name = nameOf(key);
    const known = this.handles.get(name);
    if (known) return known;
    const [handle] = this.found(session, byName(key));
    if (!handle) throw new MissingKeyError(key);
    this.handles.set(name, handle);
    return handle;
  }

  /** SoftHSM, for one, does not always see what another process has made since it was loaded. */
  private async lookAnew(key: KeyName): Promise<void> {
    const name = nameOf(key);
    if (this.missing.has(name)) throw new MissingKeyError(key);
    await this.beginAnew();
    const found = await this.sessions.with((session) => this.found(session, byName(key)));
    if (found.length > 0) return;
    if (this.missing.size === MISSING_KEPT) this.missing.clear();
    this.missing.add(name);
  }

  private beginAnew(): Promise<void> {
    return this.sessions.restart(() => {
      this.handles.clear();
      this.checked.clear();
      try {
        this.module.C_Finalize();
      } catch {
        // It was not, or not yet again.
      }
      return initialized(this.module, this.place).slot;
    });
  }

  private found(session: Handle, template: pkcs11.Template): Handle[] {
    const all: Handle[] = [];
    this.module.C_FindObjectsInit(session, template);
    try {
      for (let some = [undefined as never]; some.length > 0; all.push(...some)) {
        some = this.module.C_FindObjects(session, 100) as never[];
      }
    } finally {
      this.module.C_FindObjectsFinal(session);
    }
    return all;
  }

  private labelled(session: Handle, label: string): LabelledKey[] {
    return this.found(session, [
      ...byName({ id: '', label }),
      { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
    ]).map((handle) => {
      const [id, length, encrypt, decrypt] = this.module
        .C_GetAttributeValue(session, handle, [
          { type: pkcs11.CKA_ID },
          { type: pkcs11.CKA_VALUE_LEN },
          { type: pkcs11.CKA_ENCRYPT },
          { type: pkcs11.CKA_DECRYPT },
        ])
        .map(({ value }) => buffer(value as Uint8Array));
      return {
        id: id!.toString('hex'),
        // CK_ULONG, in the order and length of this machine; of an AES key the first bytes say it all.
        bytes: endianness() === 'LE' ? length![0]! : length!.at(-1)!,
        mayEncrypt: encrypt![0] !== 0,
        mayDecrypt: decrypt![0] !== 0,
      };
    });
  }

  private described(session: Handle, handle: Handle): TokenKey {
    const [label, id, extractable] = this.module
      .C_GetAttributeValue(session, handle, [
        { type: pkcs11.CKA_LABEL },
        { type: pkcs11.CKA_ID },
        { type: pkcs11.CKA_EXTRACTABLE },
      ])
      .map(({ value }) => buffer(value as Uint8Array));
    return { label: label!.toString('utf8'), id: id!.toString('hex'), extractable: extractable![0] !== 0 };
  }
}

const byId = (id: string): pkcs11.Template => byName({ id });

/** By the label alone where the id is empty. */
const byName = ({ id, label }: KeyName): pkcs11.Template => [
  { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
  ...(id === '' ? [] : [{ type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') }]),
  ...(label === undefined ? [] : [{ type: pkcs11.CKA_LABEL, value: label }]),
];

const nameOf = ({ id, label }: KeyName): string => (label === undefined ? id : `${id} ${label}`);
