import {
  headers,
  type JetStreamClient,
  type JetStreamManager,
  type MsgRequest,
  type NatsConnection,
  NatsError,
  type StoredMsg,
} from 'nats';
import {
  ALL_MATERIAL,
  HEADER_POSITION,
  MATERIAL_STREAM,
  materialSubject,
  parseMaterialSubject,
} from '#domain/subjects';
import { API_ERROR } from '#event-store/jetstream-api';
import {
  type MaterialEntry,
  type MaterialOnTheWay,
  type MaterialStore,
  MaterialStoreUnavailableError,
  type StoredMaterial,
} from './material-store';

/** Newer servers have two codes for it. */
const WRONG_LAST_SEQUENCE: number[] = [API_ERROR.wrongLastSequence, API_ERROR.wrongLastSequenceInProcess];

/**
 * What was sent just as the connection broke is never answered, so attempts are short; together they outlast the
 * election of a new leader (6 s measured in a cluster of three).
 */
const ATTEMPTS = 7;
const TIMEOUT_MS = 2_000;
const MAX_PAUSE_MS = 800;
const LIST_BATCH = 1_000;

/**
 * Material in the stream KMS_MATERIAL, which must exist: one message a subject, never overwritten, erased in place.
 *
 * With replicas, erasing overwrites the stream's own files on every server, but the servers' Raft logs keep the wrapped
 * bytes until they are compacted, which no client can ask for (seen with nats-server 2.10.27). There only the end of
 * the root key epoch that wrapped them makes them unreadable for sure.
 */
export class JetStreamMaterialStore implements MaterialStore {
  private readonly js: JetStreamClient;
  private manager: JetStreamManager | undefined;

  constructor(private readonly nats: NatsConnection) {
    this.js = nats.jetstream({ timeout: TIMEOUT_MS });
  }

  /**
   * No message id: within the de-duplication window it would swallow a put that follows an erase.
   * Expecting an empty subject makes a repeat harmless instead.
   */
  put(materialId: string, bytes: Uint8Array, logPosition = 0, epoch?: number): Promise<'stored' | 'exists'> {
    const position = headers();
    position.set(HEADER_POSITION, String(logPosition));
    return this.retrying(async () => {
      try {
        await this.js.publish(materialSubject(materialId, epoch), bytes, {
          expect: { lastSubjectSequence: 0 },
          headers: position,
        });
        return 'stored';
      } catch (error) {
        if (WRONG_LAST_SEQUENCE.includes(errorCode(error))) return 'exists';
        throw error;
      }
    }, materialId);
  }

  async get(materialId: string, epoch?: number): Promise<StoredMaterial | undefined> {
    const message = await this.message(materialId, epoch);
    return message && { materialId, bytes: message.data, sequence: message.seq };
  }

  /** Of the stream's leader, which holds all that was ever acknowledged. */
  async next(after: number): Promise<MaterialOnTheWay | undefined> {
    const message = await this.asked({ seq: after + 1, next_by_subj: ALL_MATERIAL }, 'the next one');
    return message && { ...parseMaterialSubject(message.subject), sequence: message.seq, bytes: message.data };
  }

  count(): Promise<number> {
    return this.retrying(async (manager) => (await manager.streams.info(MATERIAL_STREAM)).state.messages);
  }

  async erase(materialId: string, epoch?: number, sequence?: number): Promise<boolean> {
    const message = await this.message(materialId, epoch);
    if (!message || (sequence ?? message.seq) !== message.seq) return false;
    // A crash before this leaves the material as it was; whoever asked for the erasure asks again.
    await this.retrying(async (manager) => {
      try {
        // `true` has the server overwrite the bytes on disk; a plain delete would leave them there.
        await manager.streams.deleteMessage(MATERIAL_STREAM, message.seq, true);
      } catch (error) {
        // A repeat after a lost answer finds no such message, and the server says so in several ways:
        // whether it is gone is seen below, not from the error.
        if (isPassing(error)) throw error;
      }
    });
    if ((await this.message(materialId, epoch))?.seq === message.seq) {
      throw new MaterialStoreUnavailableError(`${materialId} could not be erased`);
    }
    return true;
  }

  /** Reads headers only, many at a time. What is stored or erased meanwhile may or may not be in it. */
  list(): Promise<MaterialEntry[]> {
    return this.retrying(async () => {
      const consumer = await this.js.consumers.get(MATERIAL_STREAM, {
        filterSubjects: ALL_MATERIAL,
        headers_only: true,
      });
      const entries: MaterialEntry[] = [];
      let left = (await consumer.info()).num_pending;
      while (left > 0) {
        const batch = await consumer.fetch({ max_messages: Math.min(left, LIST_BATCH), expires: TIMEOUT_MS });
        // Less than was asked for: the rest was erased meanwhile, and the last `left` stands.
        left = 0;
        for await (const message of batch) {
          entries.push({
            ...parseMaterialSubject(message.subject),
            storedAt: Math.floor(message.info.timestampNanos / 1e6),
            logPosition: Number(message.headers?.get(HEADER_POSITION) || 0),
          });
          left = message.info.pending;
        }
      }
      return entries;
    });
  }

  /** Asks the stream's leader, so that it never answers from a replica that lags. */
  private message(materialId: string, epoch?: number): Promise<StoredMsg | undefined> {
    return this.asked({ last_by_subj: materialSubject(materialId, epoch) }, materialId);
  }

  /** The API takes `next_by_subj`, too; the client's types know it of direct gets alone. */
  private asked(
    which: MsgRequest | { seq: number; next_by_subj: string },
    what: string,
  ): Promise<StoredMsg | undefined> {
    return this.retrying(async (manager) => {
      try {
        return await manager.streams.getMessage(MATERIAL_STREAM, which as MsgRequest);
      } catch (error) {
        if (errorCode(error) === API_ERROR.messageNotFound) return undefined;
        throw error;
      }
    }, what);
  }

  private async retrying<T>(attempt: (manager: JetStreamManager) => Promise<T>, what = 'all'): Promise<T> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        this.manager ??= await this.nats.jetstreamManager({ timeout: TIMEOUT_MS, checkAPI: false });
        return await attempt(this.manager);
      } catch (cause) {
        if (attempts === ATTEMPTS || !isPassing(cause) || this.nats.isClosed()) {
          throw new MaterialStoreUnavailableError(`the material store (${what}): ${(cause as Error).message}`, {
            cause,
          });
        }
        await new Promise((resolve) => setTimeout(resolve, Math.min(50 * 2 ** attempts, MAX_PAUSE_MS)));
      }
    }
  }
}

const errorCode = (error: unknown): number => (error instanceof NatsError ? (error.api_error?.err_code ?? 0) : 0);

/** No answer, or the server says that it cannot just now (503); any other answer would be the same again. */
const isPassing = (error: unknown): boolean =>
  !(error instanceof NatsError) || error.api_error === undefined || error.api_error.code === 503;
