import type { Logger } from 'pino';
import { encodeNote, type NoteSignature, parseNote } from '#audit-log/note';
import { openHead, type SignedHead, TREES, type Tree, treeKey } from '#audit-log/tree-head';
import type { Metrics } from '../metrics';
import type { Settings } from '../settings';
import { CheckpointBucket } from './checkpoint-bucket';
import { checkpointFile, keepHead, verifierKeys } from './checkpoint-folder';
import { type ProveConsistency, Witness } from './witness';

const PLACES = ['witnesses', 'bucket'] as const;
type Place = (typeof PLACES)[number];

export interface HeadToPublish {
  tree: Tree;
  head: SignedHead;
  /** As the folder holds it. */
  outside: SignedHead | undefined;
  publicKey: Buffer;
  prove: ProveConsistency;
}

/**
 * Has a head cosigned by witnesses, and puts it with what they have signed into the folder and the bucket. The folder has to
 * take it; what witnesses and bucket do not is logged and tried again at the next turn, with the head that is newest then.
 */
export class HeadPublisher {
  private readonly witnesses: Witness[];
  private readonly bucket: CheckpointBucket | undefined;
  private readonly whole = new Map<string, number>();

  constructor(
    private readonly settings: Pick<Settings, 'checkpointDir' | 'witnesses' | 'checkpointBucket'>,
    private readonly log: Logger,
    metrics: Metrics,
  ) {
    this.witnesses = settings.witnesses.map((place) => new Witness(place));
    this.bucket = settings.checkpointBucket && new CheckpointBucket(settings.checkpointBucket);
    const places = PLACES.filter((place) => (place === 'bucket' ? this.bucket : this.witnesses.length > 0));
    // Where one never takes a head, its age is that of this process.
    for (const tree of TREES) for (const place of places) this.seen(tree, place);
    metrics.gauges('keytrail_tree_head_published_age_seconds', () =>
      TREES.flatMap((tree) =>
        places.map((place) => {
          const age = (performance.now() - this.whole.get(`${tree} ${place}`)!) / 1_000;
          return [{ tree, place }, age] as const;
        }),
      ),
    );
  }

  /** Whether everybody has it. Rejects where the folder does not take it. */
  async publish(one: HeadToPublish): Promise<boolean> {
    const { tree, head, outside } = one;
    const { cosigned, all } = await this.cosigned(one);
    if (all) this.seen(tree, 'witnesses');
    const isNew = !outside || outside.size < head.size;
    if (isNew || !outside.note.equals(cosigned.note)) keepHead(this.settings.checkpointDir, tree, cosigned);
    const kept = await this.inBucket(one, cosigned);
    return all && kept;
  }

  /** That nothing has changed since everybody had the newest head of this tree. */
  stillWhole(tree: Tree): void {
    for (const place of PLACES) if (this.whole.has(`${tree} ${place}`)) this.seen(tree, place);
  }

  /** The head with the cosignatures that there are, those in the folder too; whether every witness has signed. */
  private async cosigned({
    tree,
    head,
    outside,
    prove,
  }: HeadToPublish): Promise<{ cosigned: SignedHead; all: boolean }> {
    const { text, signatures } = parseNote(head.note);
    const before = outside && parseNote(outside.note).text === text ? outside.note : undefined;
    const lines = await Promise.all(
      this.witnesses.map(async (witness): Promise<NoteSignature | undefined> => {
        try {
          return (before && witness.of(before)) ?? (await witness.cosign(tree, head, prove));
        } catch (error) {
          this.log.error({ err: error, tree, witness: witness.label }, 'a witness did not cosign the tree head');
          return undefined;
        }
      }),
    );
    const given = lines.filter((line) => line !== undefined);
    const note = encodeNote({ text, signatures: [...signatures, ...given] });
    return { cosigned: { ...head, note }, all: given.length === this.witnesses.length };
  }

  private async inBucket({ tree, publicKey }: HeadToPublish, head: SignedHead): Promise<boolean> {
    if (!this.bucket) return true;
    const key = treeKey(publicKey, tree);
    try {
      await this.bucket.keepOnce('keytrail.vkey', Buffer.from(verifierKeys(publicKey), 'utf8'));
      await this.bucket.keepHead(checkpointFile('', tree), head, (note) => openHead(note, key));
      this.seen(tree, 'bucket');
      return true;
    } catch (error) {
      this.log.error({ err: error, tree }, 'the bucket did not take the tree head');
      return false;
    }
  }

  private seen(tree: Tree, place: Place): void {
    this.whole.set(`${tree} ${place}`, performance.now());
  }
}
