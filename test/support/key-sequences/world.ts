import { generationOf } from '#domain/key/multi-region';
import { initialKey } from '#domain/key/state';
import { defaultKeyPolicy } from '#policy/document';
import { dueStepsOf } from '#views/related-keys';
import { ACCOUNT, MemoryOperations } from '../memory-operations';
import type { Kind } from './kinds';
import { ModelKey } from './model-key';

export const REGIONS = ['us-east-1', 'eu-west-1'] as const;
export const PLAINTEXT = Buffer.from('the quick brown fox');

/** What has been made with the key, or with one that is related to it. */
export interface Made {
  ciphertexts: { blob: string; algorithm: string; holds?: string }[];
  signature?: Record<string, unknown>;
  mac?: Record<string, unknown>;
  encapsulated?: string;
}

/** A key of one kind, those that are related to it, and what they are to be. */
export class World {
  readonly kms: MemoryOperations;
  readonly keys: ModelKey[];
  readonly made: Made = { ciphertexts: [] };
  /** A symmetric key in each region, which nothing happens to. */
  readonly others: string[] = [];
  readonly otherCiphertexts: string[] = [];
  /** Which key each alias of a region points at. */
  readonly aliases = REGIONS.map(() => new Map<string, 'it' | 'other'>());
  /** By region. */
  readonly parameters: ({ token: string; publicKey: Buffer; validTo: number } | undefined)[] = [];
  /** Rotations of the material, which related keys share. */
  rotations = 0;
  onDemand = 0;
  /** A change of related keys has been begun and left there, as a crash leaves it. */
  isUnsettled = false;

  constructor(
    readonly kind: Kind,
    store: ConstructorParameters<typeof MemoryOperations>[0],
  ) {
    this.kms = new MemoryOperations(store);
    const shared = {};
    this.keys = REGIONS.map((region) => new ModelKey(kind, region, shared));
  }

  async create(): Promise<void> {
    const { kms, kind, keys } = this;
    for (const region of REGIONS) {
      const { KeyId } = await kms.newKey(region);
      this.others.push(KeyId);
      const Plaintext = PLAINTEXT.toString('base64');
      const { body } = await kms.call('Encrypt', { KeyId, Plaintext }, { region });
      this.otherCiphertexts.push(String(body['CiphertextBlob']));
    }
    const { keySpec: KeySpec, keyUsage: KeyUsage, origin: Origin, multiRegion: MultiRegion } = kind;
    const { code, message, body } = kind.managed
      ? await kms.call('DescribeKey', { KeyId: 'alias/aws/s3' })
      : await kms.call('CreateKey', { KeySpec, KeyUsage, Origin, MultiRegion });
    if (code !== 'OK') throw new Error(`${code}: ${message}`);
    const { KeyId } = body['KeyMetadata'] as { KeyId: string };
    for (const key of keys) key.keyId = KeyId;
    this.begin(0, kind.multiRegion ? 'PRIMARY' : undefined);
    if (!kind.managed) return;
    keys[0]!.description = 'AWS managed key of s3';
    keys[0]!.rotation = { periodInDays: 365, next: kms.now + 365 * 86_400_000 };
    this.aliases[0]!.set('alias/aws/s3', 'it');
  }

  begin(at: number, role: ModelKey['role']): void {
    const key = this.keys[at]!;
    const { primary } = this;
    key.begin(role);
    key.policy = defaultKeyPolicy(ACCOUNT);
    if (role !== 'REPLICA' || !primary) return;
    key.materials = primary.materials.map(({ index }) => ({ index, isThere: false }));
    this.passOn();
  }

  /** What waits for a rotation is the primary's to say. */
  passOn(): void {
    const { primary } = this;
    for (const key of this.keys) {
      if (!primary || !isReplica(key) || key.waiting?.index === primary.waiting?.index) continue;
      key.waiting = primary.waiting && { index: primary.waiting.index, isThere: false };
    }
  }

  get primary(): ModelKey | undefined {
    return this.keys.find(({ role, isRecorded }) => role === 'PRIMARY' && isRecorded);
  }

  /** Time goes by; timers may be late. */
  pass(ms: number): void {
    this.kms.now += ms;
    this.keys.forEach((key, at) => {
      key.at(this.kms.now);
      if (!key.exists) this.forgetAliases(at);
    });
  }

  private forgetAliases(at: number): void {
    const aliases = this.aliases[at]!;
    for (const [name, of] of [...aliases]) if (of === 'it') aliases.delete(name);
  }

  /** Every timer that is due fires, until none is. */
  async fire(): Promise<void> {
    const { projection } = this.kms;
    for (let position = -1; position !== projection.position; ) {
      position = projection.position;
      await this.kms.fireDue();
    }
    const now = this.kms.now;
    if (this.isUnsettled) await this.adopt();
    for (const key of this.keys) {
      if (key.role !== 'REPLICA') this.rotations += key.rotate(now);
      if (!key.exists) key.isRecorded = false;
    }
    this.passOn();
    const { primary } = this;
    if (primary?.state === 'PendingReplicaDeletion' && !this.keys.some(isReplica))
      primary.schedule(now, primary.windowInDays);
  }

  /** Begins a change of related keys as ReplicateKey and UpdatePrimaryRegion do, and makes only so many steps of it. */
  async leaveUndone(what: 'replicate' | 'handOver', steps: number): Promise<void> {
    const { kms, primary } = this;
    const other = this.keys.find((key) => key !== primary);
    if (!primary?.exists || !other || primary.state !== 'Enabled' || !this.kind.multiRegion || this.isUnsettled) return;
    const canDo = what === 'replicate' ? !other.isRecorded : other.exists && other.state === 'Enabled';
    if (!canDo) return;
    const ref = { region: primary.region, account: ACCOUNT, aggregate: 'key', id: primary.keyId } as const;
    this.isUnsettled = true;
    if (what === 'handOver') {
      await kms.runCommand(ref, { type: 'HandOverPrimary', primaryRegion: other.region });
    } else {
      const former = kms.projection.key(other.region, ACCOUNT, ref.id)?.state ?? initialKey;
      const generation = generationOf(former) + 1;
      const own = { description: '', policy: defaultKeyPolicy(ACCOUNT), tags: [] };
      await kms.runCommand(ref, { type: 'BeginReplication', replicaRegion: other.region, generation, ...own });
      this.begin(this.keys.indexOf(other), 'REPLICA');
    }
    for (let made = 0; made < steps; made++) {
      const [next] = dueStepsOf(kms.projection, ref);
      if (next) await kms.runCommand({ ...ref, region: next.region }, next.command);
    }
  }

  /** What a change that was left undone has come to, once it is settled: which state each key is in follows from when it was. */
  private async adopt(): Promise<void> {
    this.isUnsettled = false;
    for (const [at, key] of this.keys.entries()) {
      const { code, body } = await this.describe(at);
      if (code !== 'OK') {
        key.exists = false;
        continue;
      }
      const metadata = body['KeyMetadata'] as Metadata;
      key.exists = true;
      key.state = metadata.KeyState;
      key.role = metadata.MultiRegionConfiguration!.MultiRegionKeyType;
      key.deletionDate = (metadata.DeletionDate ?? 0) * 1000;
      key.windowInDays = metadata.PendingDeletionWindowInDays ?? key.windowInDays;
    }
    const living = this.keys.filter(({ exists }) => exists);
    expect(living.map(({ state }) => state)).not.toContain('Creating');
    expect(living.map(({ state }) => state)).not.toContain('Updating');
    if (living.length > 0) expect(living.filter(({ role }) => role === 'PRIMARY')).toHaveLength(1);
  }

  describe(at: number) {
    return this.kms.call('DescribeKey', { KeyId: this.keys[at]!.keyId }, { region: REGIONS[at]! });
  }
}

export interface Metadata {
  KeyState: ModelKey['state'];
  Enabled: boolean;
  Description: string;
  DeletionDate?: number;
  PendingDeletionWindowInDays?: number;
  MultiRegionConfiguration?: { MultiRegionKeyType: 'PRIMARY' | 'REPLICA' };
  [member: string]: unknown;
}

const isReplica = ({ role, isRecorded }: ModelKey): boolean => role === 'REPLICA' && isRecorded;
