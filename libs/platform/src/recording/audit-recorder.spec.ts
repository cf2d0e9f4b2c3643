import { createSecretKey } from 'node:crypto';
import { decodeBatch, NO_BATCH, recordOf, unsealBatch } from '#audit-log/batch';
import { type AuditRecord, EVENT_VERSION } from '#audit-log/record';
import { KmsError } from '#domain/errors';
import { type AppendRequest, ConflictError, StoreUnavailableError } from '#event-store/event-store';
import { AuditRecorder, type AuditRecorderLimits } from './audit-recorder';
import type { RecordLanePorts } from './record-lane';

const ACCOUNT = '111122223333';
const KEY = { generation: 1, key: createSecretKey(Buffer.alloc(32, 7)) };

const record = (requestID: string, more: Partial<AuditRecord> = {}): AuditRecord => ({
  eventVersion: EVENT_VERSION,
  userIdentity: { type: 'Root', accountId: ACCOUNT },
  eventTime: '2026-11-25T02:00:00Z',
  eventSource: 'kms.amazonaws.com',
  eventName: 'Encrypt',
  awsRegion: 'us-east-1',
  requestID,
  eventID: requestID,
  readOnly: true,
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: ACCOUNT,
  eventCategory: 'Management',
  requestParameters: null,
  responseElements: null,
  ...more,
});

/** A trail in memory, whose appends a test lets through or fails one by one. */
class Trail {
  readonly stored: Buffer[] = [];
  readonly observed: unknown[] = [];
  closed = false;
  private readonly waiting: { request: AppendRequest; settle: (error?: Error) => void }[] = [];
  /** Stores at once. */
  open = true;
  sealingKey: RecordLanePorts['sealingKey'] = () => KEY;

  recorder(limits: Partial<AuditRecorderLimits> = {}): AuditRecorder {
    return new AuditRecorder(
      {
        append: (request) => this.append(request),
        sealingKey: (scope) => this.sealingKey(scope),
        closed: () => this.closed,
        observe: (error) => this.observed.push(error),
        stored: () => this.settled(),
      },
      limits,
    );
  }

  private settled = (): void => {};

  /** Resolves once it holds, which is looked at after each batch. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.settled = () => {
        if (holds()) resolve();
      };
    });
  }

  get underWay(): number {
    return this.waiting.length;
  }

  /** Lets the oldest append that waits end. */
  next(error?: Error): void {
    this.waiting.shift()!.settle(error);
  }

  heads() {
    return this.stored.map((bytes) => decodeBatch(bytes).head);
  }

  ids(): (string | undefined)[][] {
    return this.stored.map((bytes) => this.recordsOf(bytes).map(({ requestID }) => requestID));
  }

  recordsOf(bytes: Buffer) {
    return unsealBatch(decodeBatch(bytes), () => KEY.key).map(recordOf);
  }

  private append(request: AppendRequest): Promise<number> {
    const bytes = Buffer.from(request.bytes);
    const store = () => this.stored.push(bytes);
    if (this.open) return Promise.resolve(store());
    return new Promise((resolve, reject) => {
      this.waiting.push({ request, settle: (error) => (error ? reject(error) : resolve(store())) });
    });
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
async function turns(): Promise<void> {
  for (let n = 0; n < 5; n++) await turn();
}

function write(recorder: AuditRecorder, id: string, more?: Partial<AuditRecord>): Promise<string> {
  recorder.admit();
  return recorder
    .write(() => record(id, more))
    .then(
      () => 'OK',
      (error: KmsError) => error.code,
    );
}

const codeOf = (run: () => void): string => {
  try {
    run();
  } catch (error) {
    return (error as KmsError).code;
  }
  return 'OK';
};

let trail: Trail;

beforeEach(() => {
  trail = new Trail();
});

test('what one turn of the event loop answers goes into one batch, in order', async () => {
  const recorder = trail.recorder();
  const written = ['a', 'b', 'c'].map((id) => write(recorder, id));
  expect(recorder.backlog).toBe(3);
  expect(await Promise.all(written)).toEqual(['OK', 'OK', 'OK']);
  expect(trail.ids()).toEqual([['a', 'b', 'c']]);
  expect(recorder.backlog).toBe(0);
});

test('no call is answered before its own batch is stored, and no later one before its own', async () => {
  trail.open = false;
  const recorder = trail.recorder({ lanes: 2 });
  const answered: string[] = [];
  const call = (id: string) => void write(recorder, id).then((code) => answered.push(`${id} ${code}`));
  call('a');
  await turns();
  call('b');
  await turns();
  call('c');
  call('d');
  await turns();
  expect([trail.underWay, answered]).toEqual([2, []]);
  trail.next();
  await turns();
  expect([trail.underWay, answered]).toEqual([2, ['a OK']]);
  trail.next();
  trail.next();
  await turns();
  expect(answered).toEqual(['a OK', 'b OK', 'c OK', 'd OK']);
  expect(trail.ids()).toEqual([['a'], ['b'], ['c', 'd']]);
});

test('each lane is a writer of its own, whose batches are chained', async () => {
  trail.open = false;
  const recorder = trail.recorder({ lanes: 2 });
  for (const id of ['a', 'b', 'c', 'd']) {
    void write(recorder, id);
    await turns();
  }
  for (let n = 0; n < 3; n++) {
    trail.next();
    await turns();
  }
  const heads = trail.heads();
  expect(new Set(heads.map(({ writer }) => writer)).size).toBe(2);
  expect(heads.map(({ batch }) => batch)).toEqual([1, 1, 2]);
  expect(heads[0]!.prev).toBe(NO_BATCH);
  expect(heads[2]!.prev).not.toBe(NO_BATCH);
  expect(heads[2]!.writer).toBe(heads[0]!.writer);
});

test('a batch that can never be stored is refused, and the next is another writer’s: no nonce is used twice', async () => {
  const recorder = trail.recorder({ lanes: 1 });
  expect(await write(recorder, 'a')).toBe('OK');
  trail.open = false;
  const failed = write(recorder, 'b');
  await turns();
  trail.next(new ConflictError('somebody else'));
  expect(await failed).toBe('DependencyTimeoutException');
  trail.open = true;
  expect(await write(recorder, 'c')).toBe('OK');
  const [first, second] = trail.heads();
  expect(second!.writer).not.toBe(first!.writer);
  expect([first!.batch, second!.batch]).toEqual([1, 1]);
  expect(second!.prev).toBe(NO_BATCH);
  expect(trail.observed).toHaveLength(1);
  expect(recorder.backlog).toBe(0);
});

test('while the log is out of reach a batch is tried again as it is', async () => {
  trail.open = false;
  const recorder = trail.recorder({ lanes: 1 });
  const written = write(recorder, 'a');
  await turns();
  for (let n = 0; n < 3; n++) {
    trail.next(new StoreUnavailableError('away'));
    await turns();
    expect(trail.underWay).toBe(1);
  }
  trail.next();
  expect(await written).toBe('OK');
  expect(trail.heads()).toMatchObject([{ batch: 1 }]);
});

test('with every place taken a call is refused before any work, and a place is free once a record is stored', async () => {
  trail.open = false;
  const recorder = trail.recorder({ waiting: 2, lanes: 1 });
  const first = write(recorder, 'a');
  recorder.admit();
  expect(codeOf(() => recorder.admit())).toBe('ThrottlingException');
  await turns();
  trail.next();
  expect(await first).toBe('OK');
  expect(codeOf(() => recorder.admit())).toBe('OK');
  expect(codeOf(() => recorder.admit())).toBe('ThrottlingException');
});

test('a record that cannot be made gives its place back', async () => {
  const recorder = trail.recorder({ waiting: 1 });
  for (let n = 0; n < 3; n++) {
    recorder.admit();
    const failure = new Error('no record');
    const made = recorder.write(() => {
      throw failure;
    });
    await expect(made).rejects.toBe(failure);
    expect(recorder.backlog).toBe(0);
  }
  recorder.admit();
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  await expect(recorder.write(() => record('a', { requestParameters: circular }))).rejects.toThrow(TypeError);
  expect(recorder.backlog).toBe(0);
});

describe('with no patience left', () => {
  const patienceMs = 30;
  const stuck = async (recorder: AuditRecorder) => {
    while (codeOf(() => recorder.admit()) === 'OK') {
      await recorder.write(() => record('more')).catch(() => {});
    }
  };

  test('calls under way and calls in the queue are refused, and new ones before any work; every record is stored in the end', async () => {
    trail.open = false;
    const recorder = trail.recorder({ patienceMs, lanes: 1 });
    const under = write(recorder, 'a');
    await turns();
    const queued = write(recorder, 'b');
    expect(await Promise.all([under, queued])).toEqual(Array(2).fill('DependencyTimeoutException'));
    await stuck(recorder);
    expect(codeOf(() => recorder.admit())).toBe('DependencyTimeoutException');
    expect(recorder.backlog).toBeGreaterThanOrEqual(2);
    trail.open = true;
    trail.next();
    await recorder.drain();
    expect(trail.ids().flat()).toEqual(expect.arrayContaining(['a', 'b']));
    expect(recorder.backlog).toBe(0);
    expect(await write(recorder, 'c')).toBe('OK');
  });

  test('calls that were refused still hold their place, as their records do', async () => {
    trail.open = false;
    const recorder = trail.recorder({ patienceMs, waiting: 1, lanes: 2 });
    expect(await write(recorder, 'a')).toBe('DependencyTimeoutException');
    expect(codeOf(() => recorder.admit())).toBe('ThrottlingException');
    trail.next();
    await recorder.drain();
    expect(codeOf(() => recorder.admit())).toBe('OK');
  });

  test('a drain ends, too', async () => {
    trail.open = false;
    const recorder = trail.recorder({ patienceMs });
    void write(recorder, 'a');
    await recorder.drain();
    expect(trail.stored).toEqual([]);
  });
});

test('a drain waits for what is queued and for what is under way, with lanes that have nothing to do', async () => {
  const recorder = trail.recorder({ lanes: 3 });
  const queued = write(recorder, 'a');
  await recorder.drain();
  expect(await queued).toBe('OK');
  trail.open = false;
  const under = write(recorder, 'b');
  await turns();
  let drained = false;
  const draining = recorder.drain().then(() => {
    drained = true;
  });
  await turns();
  expect(drained).toBe(false);
  trail.next();
  await draining;
  expect(await under).toBe('OK');
  await recorder.drain();
});

test('a key to seal with that nobody is there to give is asked for until somebody is, and told of once', async () => {
  let asked = 0;
  trail.sealingKey = () => {
    asked++;
    if (asked < 3) return Promise.reject(new KmsError('DependencyTimeoutException', 'nobody there'));
    return Promise.resolve(KEY);
  };
  expect(await write(trail.recorder({ lanes: 1 }), 'a')).toBe('OK');
  expect(asked).toBe(3);
  expect(trail.observed).toHaveLength(1);
  expect(trail.ids()).toEqual([['a']]);
});

describe('with an account whose sealing key nobody gives', () => {
  const LOST = '444455556666';
  const lost = { recipientAccountId: LOST };
  let give: () => void;
  let asked: string[];

  beforeEach(() => {
    let given = false;
    asked = [];
    give = () => {
      given = true;
    };
    trail.sealingKey = ({ account }) => {
      asked.push(account);
      return account === LOST && !given
        ? Promise.reject(new KmsError('DependencyTimeoutException', 'nobody there'))
        : KEY;
    };
  });

  test('records of all others are stored, batch after batch; its own are once somebody does', async () => {
    const recorder = trail.recorder();
    const held = [write(recorder, 'lost 1', lost), write(recorder, 'lost 2', lost)];
    for (const id of ['a', 'b', 'c', 'd', 'e']) expect(await write(recorder, id)).toBe('OK');
    expect(trail.ids()).toEqual([['a'], ['b'], ['c'], ['d'], ['e']]);
    expect(recorder.backlog).toBe(2);
    give();
    expect(await Promise.all(held)).toEqual(['OK', 'OK']);
    expect(trail.ids().at(-1)).toEqual(['lost 1', 'lost 2']);
    expect(recorder.backlog).toBe(0);
    // Each lane has asked once for what it has.
    expect(asked.filter((account) => account === ACCOUNT)).toHaveLength(2);
  });

  test('its calls take up half of the places at most, and are told that there is none', async () => {
    const recorder = trail.recorder({ waiting: 8 });
    const held = Array.from({ length: 4 }, (_, n) => write(recorder, `lost ${n}`, lost));
    await turns();
    for (let n = 0; n < 3; n++) expect(await write(recorder, 'one more', lost)).toBe('ThrottlingException');
    expect(await write(recorder, 'a')).toBe('OK');
    expect(recorder.backlog).toBe(4);
    give();
    expect(await Promise.all(held)).toEqual(Array(4).fill('OK'));
    expect(trail.ids().flat()).toEqual(['a', 'lost 0', 'lost 1', 'lost 2', 'lost 3']);
  });

  test('its calls are refused when they have waited for long enough, and their records still stored later', async () => {
    const recorder = trail.recorder({ patienceMs: 30 });
    expect(await write(recorder, 'late', lost)).toBe('DependencyTimeoutException');
    expect(await write(recorder, 'a')).toBe('OK');
    await recorder.drain();
    expect(trail.ids()).toEqual([['a']]);
    give();
    await trail.until(() => trail.stored.length === 2);
    expect(trail.ids()).toEqual([['a'], ['late']]);
  });

  test('one that can never be given is its own calls’ refusal alone', async () => {
    trail.sealingKey = ({ account }) => (account === LOST ? Promise.reject(new Error('damaged')) : KEY);
    const recorder = trail.recorder();
    const both = [write(recorder, 'lost', lost), write(recorder, 'a')];
    expect(await Promise.all(both)).toEqual(['DependencyTimeoutException', 'OK']);
    expect(recorder.backlog).toBe(0);
    await recorder.drain();
  });
});

test('records that wait are bounded in bytes, too, however few they are', async () => {
  trail.open = false;
  const recorder = trail.recorder({ waitingBytes: 2_000, lanes: 1 });
  const long = { requestParameters: { policy: 'x'.repeat(1_500) } };
  const first = [write(recorder, 'a', long), write(recorder, 'b', long)];
  expect(codeOf(() => recorder.admit())).toBe('ThrottlingException');
  await turns();
  trail.next();
  expect(await Promise.all(first)).toEqual(['OK', 'OK']);
  expect(codeOf(() => recorder.admit())).toBe('OK');
});

test('on a connection that is closed for good nothing is tried again', async () => {
  trail.closed = true;
  trail.sealingKey = () => Promise.reject(new KmsError('DependencyTimeoutException', 'nobody there'));
  const recorder = trail.recorder();
  expect(await write(recorder, 'a')).toBe('DependencyTimeoutException');
  expect(recorder.backlog).toBe(0);
});

test('what is too long of a record is left out and said to be', async () => {
  const recorder = trail.recorder();
  const policy = 'x'.repeat(200_000);
  const long = { requestParameters: { policy }, responseElements: { policy }, userAgent: 'sdk' };
  expect(await write(recorder, 'a', long)).toBe('OK');
  const [stored] = trail.recordsOf(trail.stored[0]!);
  expect(stored).toMatchObject({
    requestID: 'a',
    userAgent: 'sdk',
    requestParameters: { omitted: true, reason: 'longer than 131072' },
    responseElements: null,
  });
  expect(trail.stored[0]!.length).toBeLessThan(2_000);
});

test('many long records make several batches, each well within a message', async () => {
  const recorder = trail.recorder({ lanes: 1 });
  const policy = '\u20ac'.repeat(100_000);
  const written = Array.from({ length: 12 }, (_, n) => write(recorder, `r${n}`, { requestParameters: { policy } }));
  expect(new Set(await Promise.all(written))).toEqual(new Set(['OK']));
  expect(trail.ids().flat()).toEqual(Array.from({ length: 12 }, (_, n) => `r${n}`));
  for (const bytes of trail.stored) expect(bytes.length).toBeLessThan(1_048_576 - 4_096);
});
