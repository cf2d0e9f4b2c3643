import type { KeyStateName } from '#domain/key/state-table';
import type { Kind } from './kinds';

export const DAY_MS = 86_400_000;

/** Imported material, as somebody who imports keeps count of it; `index` stands for its bytes. */
export interface ImportedMaterial {
  index: number;
  isThere: boolean;
  /** Of a replica, what waits for a rotation: that it has had a copy, which its primary knows of. */
  wasThere?: boolean;
  /** ms since the epoch. */
  validTo?: number | undefined;
}

export interface Rotation {
  periodInDays: number;
  /** ms since the epoch. */
  next: number;
}

/** What one key, in one region, is to be by what was asked of it: written from the documentation, not from the code. */
export class ModelKey {
  /** For callers. */
  exists = false;
  /** Until its end has been carried out; related keys go by this. */
  isRecorded = false;
  state: KeyStateName = 'Enabled';
  role: 'PRIMARY' | 'REPLICA' | undefined;
  deletionDate = 0;
  windowInDays = 0;
  description = '';
  policy = '';
  tags = new Map<string, string>();
  grants = new Set<string>();
  materials: ImportedMaterial[] = [];
  waiting: ImportedMaterial | undefined;
  /** How many keys of this id there have been in the region. */
  generation = 0;

  /** `shared`: by all related keys, of which the primary alone can change it. */
  constructor(
    readonly kind: Kind,
    readonly region: string,
    private readonly shared: { rotation?: Rotation | undefined },
  ) {}

  get rotation(): Rotation | undefined {
    return this.shared.rotation;
  }
  set rotation(rotation: Rotation | undefined) {
    this.shared.rotation = rotation;
  }

  get arn(): string {
    return `arn:aws:kms:${this.region}:000000000000:key/${this.keyId}`;
  }
  keyId = '';

  begin(role: ModelKey['role']): void {
    const { kind, region, shared, keyId, generation } = this;
    Object.assign(this, new ModelKey(kind, region, shared), { keyId, role, generation: generation + 1 });
    this.exists = true;
    this.isRecorded = true;
    if (kind.origin === 'EXTERNAL') this.state = 'PendingImport';
  }

  /** What comes due by itself, carried out or not. */
  at(now: number): void {
    if (this.state === 'PendingDeletion' && this.deletionDate <= now) this.exists = false;
    for (const material of this.materials) if (isOver(material, now)) lose(material);
    if (this.waiting && isOver(this.waiting, now)) this.loseWaiting();
    this.settleState();
  }

  /** What waits for a rotation goes with its copy, unless it is the primary's. */
  private loseWaiting(): void {
    if (this.role === 'REPLICA') lose(this.waiting!);
    else this.waiting = undefined;
  }

  get misses(): boolean {
    if (this.kind.origin !== 'EXTERNAL') return false;
    return this.materials.length === 0 || this.materials.some(({ isThere }) => !isThere);
  }

  /** A key without any of the materials that it ever had is of no use, unless it is to go anyway. */
  settleState(): void {
    if (this.kind.origin !== 'EXTERNAL' || /^Pending.*Deletion$/.test(this.state)) return;
    if (this.misses) this.state = 'PendingImport';
    else if (this.state === 'PendingImport') this.state = 'Enabled';
  }

  schedule(now: number, windowInDays: number): void {
    this.state = 'PendingDeletion';
    this.windowInDays = windowInDays;
    this.deletionDate = now + windowInDays * DAY_MS;
  }

  /** How often its rotation comes due up to `now`, each by its own date. */
  rotate(now: number): number {
    let times = 0;
    while (this.exists && this.state === 'Enabled' && this.rotation && this.rotation.next <= now) {
      this.rotation.next += this.rotation.periodInDays * DAY_MS;
      times++;
    }
    return times;
  }
}

/** The copy, not that there is such a material. */
export const lose = (material: ImportedMaterial): void => {
  Object.assign(material, { isThere: false, validTo: undefined });
};

const isOver = ({ validTo }: ImportedMaterial, now: number): boolean => validTo !== undefined && validTo <= now;
