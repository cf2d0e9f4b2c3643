import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { NatsConnection } from 'nats';
import type { SealingScope } from '#audit-log/batch';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { MaterialVault } from '#hsm/material-vault';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';

/** What one writer seals with, which opens nothing of another's. */
export type WriterScope = SealingScope & { writer: string };

/** The key of a writer for an account and month, derived where the key material is. */
export interface SealingKeys {
  /** To seal with: made where there is none yet. */
  toSeal(scope: WriterScope): Promise<KeyObject>;
  /** To read with: undefined where there is none, or none any more. */
  toUnseal(scope: WriterScope): Promise<KeyObject | undefined>;
}

const KEY_BYTES = 32;
const INFO = 'keytrail record sealing v1 ';

/** Derives them from the audit keys of the vault. */
export class VaultSealingKeys implements SealingKeys {
  constructor(private readonly vault: MaterialVault) {}

  async toSeal({ account, month, writer }: WriterScope): Promise<KeyObject> {
    return derived(await this.vault.auditKey(account, month), writer);
  }

  async toUnseal({ account, month, writer }: WriterScope): Promise<KeyObject | undefined> {
    const key = await this.vault.existingAuditKey(account, month);
    return key && derived(key, writer);
  }
}

/** HKDF-SHA-256 (RFC 5869), the writer in its info. Zeroises the audit key. */
function derived(auditKey: Buffer, writer: string): KeyObject {
  try {
    return createSecretKey(Buffer.from(hkdfSync('sha256', auditKey, '', INFO + writer, KEY_BYTES)));
  } finally {
    auditKey.fill(0);
  }
}

interface Question extends WriterScope {
  toSeal: boolean;
}

/** Asks a crypto-worker. */
export class RemoteSealingKeys implements SealingKeys {
  constructor(private readonly nats: NatsConnection) {}

  async toSeal(scope: WriterScope): Promise<KeyObject> {
    const key = await this.ask({ ...scope, toSeal: true });
    if (!key) throw new KmsError('KMSInternalException', 'A crypto-worker gave no key to seal records with.');
    return key;
  }

  toUnseal(scope: WriterScope): Promise<KeyObject | undefined> {
    return this.ask({ ...scope, toSeal: false });
  }

  private async ask(question: Question): Promise<KeyObject | undefined> {
    const key = await ask<string | null>(this.nats, INTERNAL.sealingKey, question);
    return key === null ? undefined : createSecretKey(Buffer.from(key, 'base64'));
  }
}

export function serveSealingKeys(served: ServedRequests, keys: SealingKeys, onError: (error: unknown) => void): void {
  answer<unknown, string | null>(
    served,
    INTERNAL.sealingKey,
    QUEUE.data,
    async (question) => {
      const { toSeal, ...scope } = questionOf(question);
      const key = await (toSeal ? keys.toSeal(scope) : keys.toUnseal(scope));
      return key ? key.export().toString('base64') : null;
    },
    onError,
  );
}

function questionOf(question: unknown): Question {
  const { account, month, writer, toSeal } = (question ?? {}) as Partial<Record<keyof Question, unknown>>;
  const fits = (value: unknown, form: RegExp): value is string => typeof value === 'string' && form.test(value);
  if (
    !fits(account, /^\d{12}$/) ||
    !fits(month, /^\d{4,6}-\d{2}$/) ||
    !fits(writer, /^[0-9a-f-]{36}$/) ||
    typeof toSeal !== 'boolean'
  ) {
    throw new KmsError('ValidationException', 'expected account, month, writer and toSeal');
  }
  return { account, month, writer, toSeal };
}
