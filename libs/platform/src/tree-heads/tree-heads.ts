import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { encodeHead, openHead, type SignedHead, TREES, type Tree, treeKey, treeOrigin } from '#audit-log/tree-head';
import { AUDIT_STREAM, EVENTS_STREAM, TREE_STREAM } from '#domain/subjects';
import type { EventStore } from '#event-store/event-store';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { settledWithin } from '../bounded-wait';
import type { Clock } from '../clock';
import { failPoints } from '../fail-points';
import type { Metrics } from '../metrics';
import type { Settings } from '../settings';
import { checkpointFile, keepKey, keptHead } from './checkpoint-folder';
import { HeadPublisher } from './head-publisher';
import type { TreeHeadSigner } from './head-signer';
import { LogTree } from './log-tree';
import { newestHead } from './stored-heads';

export interface TreeHeadsPorts {
  settings: Settings;
  nats: NatsConnection;
  /** KMS_EVENTS. */
  changes: EventStore;
  signer: TreeHeadSigner;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

/** How long a stop waits for the last heads. */
const STOP_WAIT_MS = 5_000;

/**
 * Has the heads of both trees signed at a set interval, where they have grown, and at a stop, and has the newest published
 * outside of NATS. What goes wrong is logged and tried again at the next turn: nothing waits for a head.
 */
export class TreeHeads {
  private readonly turns: NodeJS.Timeout;
  private turn: Promise<void> = Promise.resolve();
  private busy = false;
  private stopping = false;
  private publicKey: Buffer | undefined;
  private readonly trees = new Map<Tree, LogTree>();
  private readonly kept = new Map<Tree, SignedHead>();
  /** When the newest head was last seen to hold the whole log: a log that does not grow needs no new one. */
  private readonly whole = new Map<Tree, number>();
  /** Trees of which everybody who is to have the newest head has it. */
  private readonly published = new Set<Tree>();
  private readonly publisher: HeadPublisher;
  private readonly failPoint: (name: string) => void;

  constructor(private readonly ports: TreeHeadsPorts) {
    const { settings, metrics } = ports;
    this.failPoint = failPoints(settings.failPoint);
    this.publisher = new HeadPublisher(settings, ports.log, metrics);
    this.turns = setInterval(() => this.begin(), settings.treeHeadSeconds * 1_000).unref();
    metrics.gauges('keytrail_tree_head_age_seconds', () =>
      [...this.whole].map(([tree, at]) => [{ tree }, (performance.now() - at) / 1_000] as const),
    );
  }

  /** The last heads hold all that was stored before. */
  async stop(): Promise<void> {
    clearInterval(this.turns);
    const last = this.turn.then(() => this.take());
    if (!(await settledWithin(STOP_WAIT_MS, last)))
      this.ports.log.warn('stopping although the last heads are not signed');
    this.stopping = true;
  }

  private begin(): void {
    if (this.busy) return;
    this.busy = true;
    this.turn = this.take().finally(() => {
      this.busy = false;
    });
  }

  private async take(): Promise<void> {
    // Of one tree what it takes to publish a head holds up nothing of the other.
    await Promise.all(TREES.map((tree) => this.takeOf(tree)));
  }

  private async takeOf(tree: Tree): Promise<void> {
    try {
      const begun = performance.now();
      await this.advance(tree);
      this.whole.set(tree, begun);
    } catch (error) {
      if (!this.stopping) this.ports.log.error({ err: error, tree }, 'no tree head could be made');
    }
  }

  private async advance(tree: Tree): Promise<void> {
    const { settings, nats, signer, clock } = this.ports;
    const folder = settings.checkpointDir;
    const log = this.treeOf(tree);
    if (this.published.has(tree) && this.kept.get(tree)?.size === log.size && !(await log.isBehind())) {
      return this.publisher.stillWhole(tree);
    }
    this.published.delete(tree);
    // Before the stream, which then holds all that this head has, whoever else has had it signed.
    const stored = await newestHead(nats, tree);
    await log.grow(() => this.stopping);
    if (log.size === 0) return;
    this.publicKey ??= await signer.publicKey();
    const key = treeKey(this.publicKey, tree);
    keepKey(folder, this.publicKey);
    const outside = keptHead(folder, tree, this.publicKey);
    if (outside) log.assertHolds(outside, checkpointFile(folder, tree));
    let head = stored && openHead(stored.note, key);
    if (head) log.assertHolds(head, TREE_STREAM);
    if (!head || head.size < log.size) {
      const now = new Date(clock.now()).toISOString();
      const text = encodeHead(treeOrigin(this.publicKey, tree), {
        size: log.size,
        root: log.root(),
        // A clock that was set back makes no head older than the one before.
        time: head && head.time > now ? head.time : now,
        position: log.position,
      });
      head = openHead(await signer.sign({ tree, text, proof: log.proofFrom(head?.size ?? 0) }), key);
    }
    const isNew = !outside || outside.size < head.size;
    if (isNew) this.failPoint(`before-keep:${tree}-head`);
    const prove = (from: number, to: number): Uint8Array[] => log.consistency(from, to);
    const everywhere = await this.publisher.publish({ tree, head, outside, publicKey: this.publicKey, prove });
    if (isNew) this.failPoint(`after-keep:${tree}-head`);
    this.kept.set(tree, head);
    if (everywhere) this.published.add(tree);
  }

  treeOf(tree: Tree): LogTree {
    const standing = this.trees.get(tree);
    if (standing) return standing;
    const { settings, nats, changes } = this.ports;
    const folder = join(settings.dataDir, 'tree', tree);
    const made =
      tree === 'changes'
        ? new LogTree(tree, EVENTS_STREAM, changes, folder)
        : new LogTree(tree, AUDIT_STREAM, new JetStreamEventStore(nats, { stream: AUDIT_STREAM }), folder);
    this.trees.set(tree, made);
    return made;
  }
}
