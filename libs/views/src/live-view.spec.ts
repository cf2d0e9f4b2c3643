import { encodeCommit, NO_HASH } from '#domain/commit';
import { eventSubject } from '#domain/subjects';
import { LiveView } from './live-view';
import type { LogEntry } from './projection';

const creation = (seq: number): LogEntry => {
  const ref = {
    region: 'us-east-1',
    account: '000000000000',
    aggregate: 'key' as const,
    id: `00000000-0000-4000-8000-00000000000${seq}`,
  };
  const bytes = encodeCommit({
    ...ref,
    schema: 1,
    version: 1,
    prevHash: NO_HASH,
    time: '2026-01-01T00:00:00.000Z',
    principal: 'test',
    requestId: String(seq),
    operation: 'CreateKey',
    events: [
      {
        type: 'KeyCreated',
        v: 1,
        description: '',
        keyUsage: 'ENCRYPT_DECRYPT',
        keySpec: 'SYMMETRIC_DEFAULT',
        origin: 'AWS_KMS',
        multiRegion: false,
        policy: '{}',
        tags: [],
        materialId: NO_HASH,
      },
    ],
  });
  return { seq, subject: eventSubject(ref), bytes };
};

/** A log that the test delivers by hand. */
async function following(): Promise<{ view: LiveView; deliver(entry: LogEntry): void; failures: Error[] }> {
  const failures: Error[] = [];
  const view = new LiveView((error) => failures.push(error));
  let deliver: (entry: LogEntry) => void = () => {};
  await view.start({
    lastPosition: async () => 0,
    follow: async (_from, handler) => {
      deliver = (entry) => handler.onCommit(entry);
      return { stop: async () => {} };
    },
  });
  return { view, deliver: (entry) => deliver(entry), failures };
}

describe('a live view', () => {
  test('folds its own append in at once, and passes over it when the follower brings it', async () => {
    const { view, deliver, failures } = await following();
    view.offer(creation(1));
    expect(view.position).toBe(1);
    deliver(creation(1));
    expect([view.position, failures]).toEqual([1, []]);
  });

  test("leaves its own append to the follower while another process's commit before it has not arrived", async () => {
    const { view, deliver, failures } = await following();
    view.offer(creation(2));
    expect([view.position, view.failed, failures]).toEqual([0, undefined, []]);
    const reached = view.waitFor(2);
    deliver(creation(1));
    deliver(creation(2));
    await reached;
    expect(view.position).toBe(2);
  });

  test('fails for good at a gap in the log', async () => {
    const { view, deliver, failures } = await following();
    expect(() => deliver(creation(2))).toThrow(/commits are missing/);
    expect(failures).toHaveLength(1);
    await expect(view.waitFor(1)).rejects.toMatchObject({ code: 'KMSInternalException' });
  });
});
