import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { hexSha256, SIGNATURE_ALGORITHM, trailDigest } from '#audit-log/trail-digest';
import { digestKey, logFileKey, trailTime } from '#audit-log/trail-names';
import type { FailPoint } from '../fail-points';
import { replaceDurably } from '../tree-heads/durable-file';
import type { DigestSigner } from './digest-signer';
import { logFilesOf } from './trail-grouping';
import type { TrailPiece, TrailSource } from './trail-source';
import {
  type Begun,
  type Place,
  readTrailState,
  type TimeRange,
  type TrailChain,
  TrailFilesError,
  type TrailState,
  writeTrailState,
} from './trail-state';

export interface TrailWriterPorts {
  folder: string;
  place: Place;
  /** Has digests from the start on, also when there was nothing. */
  account: string;
  source: TrailSource;
  signer: DigestSigner;
  failPoint?: FailPoint;
  /** Of a folder that has files it must be the one that they were written with, or absent. */
  only?: TimeRange;
}

const HOUR_MS = 3_600_000;
const compressed = promisify(gzip);

/** Where the S3 metadata of a digest is kept beside it. */
export const metadataFile = (path: string): string => `${path}.metadata.json`;

/**
 * Writes log files and digests into a folder. Each step is said in the state before it is begun and after it was done, and
 * gives the same files when it is done again: docs/trail-files.md has what a crash leaves behind. One process at a time.
 */
export class TrailWriter {
  private state: TrailState;
  private readonly failPoint: FailPoint;

  /** Throws TrailFilesError for a folder that cannot be gone on with. */
  constructor(
    private readonly ports: TrailWriterPorts,
    now: number,
  ) {
    const { folder, account, place, only } = ports;
    this.state = readTrailState(folder, now, { account, region: place.home }, only);
    this.failPoint = ports.failPoint ?? (() => {});
    this.keep(this.state);
  }

  /** Does to its end what was begun. */
  async resume(): Promise<void> {
    const { begun } = this.state;
    if (begun) await this.perform(begun);
  }

  /** Digests of all whole hours since the last ones: one for each account and region, however many hours. */
  async digestHours(now: number): Promise<void> {
    const start = Date.parse(this.state.periodStart);
    const hours = Math.floor((now - start) / HOUR_MS);
    if (hours > 0) await this.digest(start + hours * HOUR_MS);
  }

  /** Digests up to this moment, of whole seconds, or to a second after the last ones. */
  async digest(end: number): Promise<void> {
    await this.resume();
    const least = Date.parse(this.state.periodStart) + 1_000;
    await this.begin({ kind: 'digest', end: trailTime(Math.max(end, least)), ...this.ports.place });
  }

  /** Log files of all that is in the streams and not in a file. The number of records written. */
  async deliver(now: number): Promise<number> {
    await this.resume();
    let written = 0;
    for (;;) {
      const piece = await this.ports.source.after(this.state.delivered);
      if (!piece) return written;
      if (piece.records.length === 0) {
        this.keep({ ...this.state, delivered: piece.to });
        continue;
      }
      const { records, changes } = piece.to;
      // A clock that was set back delivers nothing before the period.
      const at = trailTime(Math.max(now, Date.parse(this.state.periodStart)));
      const to = { records: records.position, changes: changes.position };
      written += await this.begin({ kind: 'delivery', at, to, ...this.ports.place }, piece);
    }
  }

  private async begin(begun: Begun, piece?: TrailPiece): Promise<number> {
    this.keep({ ...this.state, begun });
    this.failPoint(`after-begin:trail-${begun.kind}`);
    return this.perform(begun, piece);
  }

  private async perform(begun: Begun, piece?: TrailPiece): Promise<number> {
    const { begun: _, ...state } = this.state;
    let written = 0;
    const next =
      begun.kind === 'digest'
        ? await this.digested(state, begun)
        : await this.delivered(state, begun, piece, (count) => (written += count));
    this.failPoint(`after-files:trail-${begun.kind}`);
    this.keep(next);
    return written;
  }

  private async delivered(
    state: TrailState,
    begun: Extract<Begun, { kind: 'delivery' }>,
    known: TrailPiece | undefined,
    count: (records: number) => void,
  ): Promise<TrailState> {
    const piece = known ?? (await this.ports.source.after(state.delivered, begun.to));
    if (!piece) throw new TrailFilesError('the log has not what was begun to be delivered');
    const chains = new Map(state.chains.map((chain) => [nameOf(chain), chain]));
    const about = `${begun.to.records} ${begun.to.changes}`;
    for (const contents of await logFilesOf(piece.records, state.chains, begun.home, state.only ?? {})) {
      const { pair, records, newestEventTime, oldestEventTime } = contents;
      const key = logFileKey(pair, Date.parse(begun.at), about);
      const hashValue = await this.write(key, records);
      count(records.length);
      this.failPoint('after-file:trail-delivery');
      const chain = chains.get(nameOf(pair)) ?? { ...pair, previous: null, logFiles: [] };
      const file = {
        s3Bucket: begun.bucket,
        s3Object: key,
        hashValue,
        hashAlgorithm: 'SHA-256',
        newestEventTime,
        oldestEventTime,
      } as const;
      chains.set(nameOf(pair), { ...chain, logFiles: [...chain.logFiles, file] });
    }
    return { ...state, delivered: piece.to, chains: inOrder(chains.values()) };
  }

  private async digested(
    state: TrailState,
    { end, bucket, home }: Extract<Begun, { kind: 'digest' }>,
  ): Promise<TrailState> {
    const { signer } = this.ports;
    const chains: TrailChain[] = [];
    const { fingerprint } = await signer.publicKey();
    for (const chain of state.chains) {
      const { account, region, previous, logFiles } = chain;
      const key = digestKey(chain, home, Date.parse(end));
      const digest = trailDigest({
        account,
        start: state.periodStart,
        end,
        bucket,
        key,
        fingerprint,
        previous,
        logFiles,
      });
      const text = JSON.stringify(digest);
      const hash = hexSha256(text);
      const signature = await signer.sign({ end, bucket, key, hash, previousSignature: previous?.signature ?? null });
      // First, so that there is never a digest without its signature.
      const metadata = { signature, 'signature-algorithm': SIGNATURE_ALGORITHM };
      replaceDurably(metadataFile(join(this.ports.folder, key)), Buffer.from(`${JSON.stringify(metadata)}\n`, 'utf8'));
      this.failPoint('after-metadata:trail-digest');
      replaceDurably(join(this.ports.folder, key), await compressed(text));
      this.failPoint('after-file:trail-digest');
      chains.push({ account, region, previous: { bucket, key, hash, signature }, logFiles: [] });
    }
    return { ...state, periodStart: end, chains };
  }

  /** Hex SHA-256 of what was compressed. */
  private async write(key: string, records: readonly string[]): Promise<string> {
    const text = `{"Records":[${records.join(',')}]}`;
    replaceDurably(join(this.ports.folder, key), await compressed(text));
    return hexSha256(text);
  }

  private keep(state: TrailState): void {
    writeTrailState(this.ports.folder, state);
    this.state = state;
  }
}

const nameOf = ({ account, region }: { account: string; region: string }): string => `${account} ${region}`;

const inOrder = (chains: Iterable<TrailChain>): TrailChain[] =>
  [...chains].sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
