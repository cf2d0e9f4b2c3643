import { type MaterialEntry } from './material-store';
import type { SealedMaterials } from './sealed-materials';

const TOKEN_SEED_ID = 'token-seed-1';
const AUDIT_KEY_PREFIX = 'audit-key-';
const AUDIT_KEY_LENGTH = 32;
const TREE_SEED_ID = 'tree-seed-1';
const TRAIL_KEY_ID = 'trail-key-1';
const IMPORT_KEY_ID = 'import-key-1';
const IMPORT_KEY_LENGTH = 32;

/** Which key records are sealed under. */
export interface AuditKey {
  account: string;
  /** `2026-11` */
  month: string;
  /** From 1: after a shredding comes the next. */
  generation: number;
}

/** What Keytrail has for itself, beside the keys of its users: each made by the first who needs it, the same in every crypto-worker. */
export class OwnSecrets {
  constructor(private readonly materials: SealedMaterials) {}

  /** What the ids of imported materials are made with, the same in every crypto-worker. */
  importKey(): Promise<Buffer> {
    return this.materials.madeOnce(IMPORT_KEY_ID, 'IMPORT_KEY', '', IMPORT_KEY_LENGTH);
  }

  /** What tokens are signed with: `length` bytes, made at the first start, the same in every crypto-worker. */
  tokenSeed(length: number): Promise<Buffer> {
    return this.materials.madeOnce(TOKEN_SEED_ID, 'TOKEN_SEED', '', length);
  }

  /** What tree heads are signed with, as tokenSeed. */
  treeSeed(length: number): Promise<Buffer> {
    return this.materials.madeOnce(TREE_SEED_ID, 'TREE_SEED', '', length);
  }

  /** What digests of trail files are signed with: what `make` gives, of the first who needs it. */
  trailKey(make: () => Promise<Buffer>): Promise<Buffer> {
    return this.materials.madeOnce(TRAIL_KEY_ID, 'TRAIL_KEY', '', make);
  }

  /** What the records of an account and month (`2026-11`) are sealed under, made when it is first needed. */
  auditKey(which: AuditKey): Promise<Buffer> {
    return this.materials.madeOnce(auditKeyId(which), 'AUDIT_KEY', which.account, AUDIT_KEY_LENGTH);
  }

  /** The same to read with: undefined where there is none, or none any more. */
  async existingAuditKey(which: AuditKey): Promise<Buffer | undefined> {
    return this.materials.opened(auditKeyId(which), 'AUDIT_KEY', which.account);
  }

  /** All of them that are there. */
  async auditKeys(): Promise<AuditKey[]> {
    const entries: MaterialEntry[] = await this.materials.list();
    return entries.flatMap(({ materialId }) => auditKeyOf(materialId) ?? []);
  }

  /** Erases one for good, and with it what is sealed under it. Harmless to repeat. */
  destroyAuditKey(which: AuditKey): Promise<void> {
    return this.materials.erase(auditKeyId(which));
  }
}

const auditKeyId = ({ account, month, generation }: AuditKey): string =>
  `${AUDIT_KEY_PREFIX}${account}-${month}${generation === 1 ? '' : `-${generation}`}`;

function auditKeyOf(materialId: string): AuditKey | undefined {
  if (!materialId.startsWith(AUDIT_KEY_PREFIX)) return undefined;
  const [account, year, month, generation = '1'] = materialId.slice(AUDIT_KEY_PREFIX.length).split('-');
  return { account: account!, month: `${year}-${month}`, generation: Number(generation) };
}

/** Whether no event names it, since it is Keytrail's own. */
export const isOwnSecret = (materialId: string): boolean =>
  materialId === TOKEN_SEED_ID ||
  materialId === TREE_SEED_ID ||
  materialId === TRAIL_KEY_ID ||
  materialId === IMPORT_KEY_ID ||
  materialId.startsWith(AUDIT_KEY_PREFIX);
