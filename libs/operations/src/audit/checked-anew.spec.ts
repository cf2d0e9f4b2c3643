import type { AuditRecord } from '#audit-log/record';
import { userRef } from '#domain/principal/principal-id';
import type { AppendRequest } from '#event-store/event-store';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { everyOperation, type Held } from '../../../../test/support/every-operation';
import { ACCOUNT, allowing, MemoryOperations } from '../../../../test/support/memory-operations';
import { OPERATION_TABLE } from '../table';

const BOB = userRef(ACCOUNT, 'bob');

/** A log on which something is taken away from somebody else right before each append that a test has it do so. */
class RevokingLog extends MemoryEventStore {
  private readonly other = new MemoryOperations(this);
  private within = false;
  revokes = false;
  revoked = 0;

  /** Somebody to take away from. */
  async begin(): Promise<void> {
    await this.other.runCommand(BOB, { type: 'CreateUser', name: 'bob', path: '/', uniqueId: 'AIDABOB', tags: [] });
  }

  override async append(request: AppendRequest): Promise<number> {
    if (this.revokes && !this.within) {
      this.within = true;
      const policy = allowing(`kms:Revision${++this.revoked}`);
      await this.other.runCommand(BOB, { type: 'PutPolicy', policyName: 'own', policy });
      this.within = false;
    }
    return super.append(request);
  }
}

/** What random ids differ in is left out. */
const comparable = ({ eventName, resources, additionalEventData, errorCode }: AuditRecord): unknown =>
  JSON.parse(
    JSON.stringify({ eventName, resources, additionalEventData, errorCode })
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'uuid')
      .replaceAll(/mrk-[0-9a-f]{32}/g, 'mrk')
      .replaceAll(/(cluster|backup|hsm)-[a-z2-7]{11}/g, '$1')
      .replaceAll(/[0-9a-f]{64}/g, 'hex'),
  );

/** The records of all operations, and how many of their appends were checked anew. */
async function recordsOf(revokes: boolean): Promise<{ records: unknown[]; revoked: number }> {
  const log = new RevokingLog();
  await log.begin();
  log.revokes = revokes;
  const process = new MemoryOperations(log);
  const records: unknown[] = [];
  process.onRecord = (record) => records.push(comparable(record));
  const held: Held = {};
  for (const { operation, input, keep } of everyOperation(ACCOUNT, 'anew', Buffer.alloc(16, 1))) {
    const { service } = OPERATION_TABLE.get(operation)!;
    // The history of events is not in memory, and root assumes no role.
    if (service === 'cloudtrail' || operation === 'AssumeRole') continue;
    const { code, message, body } = await process.call(operation, input(held));
    expect({ operation, code, message }).toEqual({ operation, code: 'OK', message: '' });
    keep?.(body, held);
  }
  return { records, revoked: log.revoked };
}

test('what a record says of a call is the same when its checks were made anew, for every operation', async () => {
  const undisturbed = await recordsOf(false);
  const disturbed = await recordsOf(true);
  expect(disturbed.records).toEqual(undisturbed.records);
  expect(undisturbed.revoked).toBe(0);
  expect(disturbed.revoked).toBeGreaterThan(20);
});

test('of two changes of one alias at once, each has alias and keys on record', async () => {
  const process = new MemoryOperations();
  const [first, second] = [await process.newKey(), await process.newKey()];
  const AliasName = 'alias/moved';
  await process.call('CreateAlias', { AliasName, TargetKeyId: first.KeyId });
  const records: AuditRecord[] = [];
  process.onRecord = (record) => records.push(record);
  const move = ({ KeyId }: { KeyId: string }) => process.call('UpdateAlias', { AliasName, TargetKeyId: KeyId });
  await Promise.all([move(second), move(first)]);
  const about = records.map(({ resources }) => resources?.map(({ type }) => type));
  expect(about).toEqual([
    ['AWS::KMS::Alias', 'AWS::KMS::Key', 'AWS::KMS::Key'],
    ['AWS::KMS::Alias', 'AWS::KMS::Key', 'AWS::KMS::Key'],
  ]);
});
