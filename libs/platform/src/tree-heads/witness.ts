import { encodeAddCheckpoint } from '#audit-log/add-checkpoint';
import { parseCosignature, verifyCosignatures } from '#audit-log/cosignature';
import { encodeNote, type NoteSignature, parseNote, signaturesBy } from '#audit-log/note';
import { keyLabel } from '#audit-log/note-key';
import type { SignedHead, Tree } from '#audit-log/tree-head';
import { boundedBody, said } from './bounded-response';
import type { WitnessPlace } from './publication-places';

/** The proof that a log goes on, as LogTree makes it. */
export type ProveConsistency = (from: number, to: number) => Uint8Array[];

/** A witness has not cosigned. The message says why. */
export class WitnessError extends Error {
  override readonly name = 'WitnessError';
}

const TIMEOUT_MS = 2_000;
const MAX_ANSWER = 64 * 1_024;
const SIZE = /^(0|[1-9]\d{0,15})\n$/;
const SIZE_TYPE = 'text/x.tlog.size';

/** Asks one witness for its cosignatures (C2SP tlog-witness, "add-checkpoint"). */
export class Witness {
  /** Of each tree the size that it has cosigned last, as far as is known. */
  private readonly sizes = new Map<Tree, number>();

  constructor(
    private readonly place: WitnessPlace,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  get label(): string {
    return keyLabel(this.place.key);
  }

  /** Its newest cosignature of a head, out of the lines of a note; undefined where there is none. */
  of(note: Uint8Array): NoteSignature | undefined {
    const parsed = parseNote(note);
    const [newest] = verifyCosignatures(parsed, [this.place.key]);
    return signaturesBy(this.place.key, parsed).find((line) => parseCosignature(line).time === newest?.time);
  }

  /** Rejects with WitnessError, or with what the network says. */
  async cosign(tree: Tree, head: SignedHead, prove: ProveConsistency): Promise<NoteSignature> {
    const begun = this.sizes.get(tree) ?? 0;
    const first = await this.ask(head, begun, prove);
    const answer =
      typeof first === 'number' ? await this.ask(head, this.learned(tree, first, begun, head), prove) : first;
    if (typeof answer === 'number') throw new WitnessError(`${this.label} cosigned another head meanwhile`);
    this.sizes.set(tree, head.size);
    return answer;
  }

  /** What it says that it has seen, where that may be. */
  private learned(tree: Tree, size: number, asked: number, head: SignedHead): number {
    this.sizes.delete(tree);
    if (size > head.size) {
      throw new WitnessError(
        `${this.label} has seen ${size} ${tree}, but the head has ${head.size}: the log has lost its end, or there are two`,
      );
    }
    if (size === asked)
      throw new WitnessError(`${this.label} has seen another tree of ${size} ${tree}: there are two logs`);
    return size;
  }

  /** Its cosignature; or the size that it has cosigned last, where that is another one. */
  private async ask(head: SignedHead, oldSize: number, prove: ProveConsistency): Promise<NoteSignature | number> {
    const hashes = oldSize === 0 ? [] : prove(oldSize, head.size);
    const response = await fetch(`${this.place.url}/add-checkpoint`, {
      method: 'POST',
      body: encodeAddCheckpoint({ oldSize, hashes, checkpoint: head.note }),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      redirect: 'error',
      signal: AbortSignal.timeout(this.timeoutMs),
    });
    const body = await boundedBody(response, MAX_ANSWER);
    if (response.status === 409 && response.headers.get('content-type')?.split(';')[0]?.trim() === SIZE_TYPE) {
      const size = Number(SIZE.exec(body.toString('latin1'))?.[1] ?? Number.NaN);
      if (Number.isSafeInteger(size)) return size;
    }
    if (response.status !== 200) {
      throw new WitnessError(`${this.label} answered ${response.status}: ${said(body)}`);
    }
    const { text } = parseNote(head.note);
    const cosigned = this.of(Buffer.concat([encodeNote({ text, signatures: [] }), body]));
    if (!cosigned) throw new WitnessError(`${this.label} answered with no cosignature of its own`);
    return cosigned;
  }
}
