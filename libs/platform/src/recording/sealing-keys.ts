import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { NatsConnection } from 'nats';
import type { SealingKey, SealingScope } from '#audit-log/batch';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { OwnSecrets } from '#hsm/own-secrets';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';

/** What one writer seals with, which opens nothing of another's. */
export type WriterScope = SealingScope & { writer: string };
export type SealedScope = WriterScope & { generation: number };

/** The key of a writer for an account and month, derived where the key material is. */
export interface SealingKeys {
  /** To seal with: made where there is none yet. Good for SEALING_KEY_MS from when it was asked for. */
  toSeal(scope: WriterScope): Promise<SealingKey>;
  /** To read with: undefined where there is none, or none any more. */
  toUnseal(scope: SealedScope): Promise<KeyObject | undefined>;
}

/** Nothing is sealed any more with a key that was asked for so long ago, and may have been shredded since. */
export const SEALING_KEY_MS = 5_000;

const KEY_BYTES = 32;
const INFO = 'keytrail record sealing v1 ';

/** Up to which generation the keys of a scope are shredded, by the whole log. */
export type Shredded = (scope: SealingScope) => Promise<number>;

/** Derives them from the audit keys. */
export class VaultSealingKeys implements SealingKeys {
  constructor(
    private readonly secrets: Pick<OwnSecrets, 'auditKey' | 'existingAuditKey'>,
    private readonly shredded: Shredded,
  ) {}

  async toSeal({ account, month, writer }: WriterScope): Promise<SealingKey> {
    const generation = (await this.shredded({ account, month })) + 1;
    return { generation, key: derived(await this.secrets.auditKey({ account, month, generation }), writer) };
  }

  async toUnseal({ account, month, writer, generation }: SealedScope): Promise<KeyObject | undefined> {
    // A backup may have brought it back.
    if ((await this.shredded({ account, month })) >= generation) return undefined;
    const key = await this.secrets.existingAuditKey({ account, month, generation });
    return key && derived(key, writer);
  }
}

/** HKDF-SHA-256 (RFC 5869), the writer in its info. Zeroises the audit key. */
function derived(auditKey: Buffer, writer: string): KeyObject {
  try {
    return secretKeyOf(Buffer.from(hkdfSync('sha256', auditKey, '', INFO + writer, KEY_BYTES)));
  } finally {
    auditKey.fill(0);
  }
}

/** Zeroises the bytes. */
function secretKeyOf(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** Without `generation`: to seal with. */
interface Question extends WriterScope {
  generation?: number;
}

interface Answer {
  generation: number;
  /** Base64. */
  key: string;
}

/** Given in far less: a crypto-worker that is frozen would hold up every call that waits for its record. */
const ATTEMPT_MS = 500;

/** Asks a crypto-worker. */
export class RemoteSealingKeys implements SealingKeys {
  constructor(private readonly nats: NatsConnection) {}

  async toSeal({ account, month, writer }: WriterScope): Promise<SealingKey> {
    const found = await this.ask({ account, month, writer });
    if (!found) throw new KmsError('KMSInternalException', 'A crypto-worker gave no key to seal records with.');
    return found;
  }

  async toUnseal({ account, month, writer, generation }: SealedScope): Promise<KeyObject | undefined> {
    return (await this.ask({ account, month, writer, generation }))?.key;
  }

  private async ask(question: Question): Promise<SealingKey | undefined> {
    const found = await ask<Answer | null>(this.nats, INTERNAL.sealingKey, question, { attemptMs: ATTEMPT_MS });
    if (found === null) return undefined;
    return { generation: found.generation, key: secretKeyOf(Buffer.from(found.key, 'base64')) };
  }
}

export function serveSealingKeys(served: ServedRequests, keys: SealingKeys, onError: (error: unknown) => void): void {
  const found = async ({ generation, ...scope }: Question): Promise<SealingKey | undefined> => {
    if (generation === undefined) return keys.toSeal(scope);
    const key = await keys.toUnseal({ ...scope, generation });
    return key && { generation, key };
  };
  answer<unknown, Answer | null>(
    served,
    INTERNAL.sealingKey,
    QUEUE.data,
    async (question) => {
      const one = await found(questionOf(question));
      if (!one) return null;
      const bytes = one.key.export();
      try {
        return { generation: one.generation, key: bytes.toString('base64') };
      } finally {
        bytes.fill(0);
      }
    },
    onError,
  );
}

function questionOf(question: unknown): Question {
  const { account, month, writer, generation } = (question ?? {}) as Partial<Record<keyof Question, unknown>>;
  const fits = (value: unknown, form: RegExp): value is string => typeof value === 'string' && form.test(value);
  if (
    !fits(account, /^\d{12}$/) ||
    !fits(month, /^\d{4,6}-\d{2}$/) ||
    !fits(writer, /^[0-9a-f-]{36}$/) ||
    (generation !== undefined && !(Number.isSafeInteger(generation) && (generation as number) > 0))
  ) {
    throw new KmsError('ValidationException', 'expected account, month, writer and generation');
  }
  return { account, month, writer, ...(generation === undefined ? {} : { generation: generation as number }) };
}
