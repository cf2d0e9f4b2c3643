import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { type DecodedBatch, decodeBatch, recordOf, unsealBatch } from '#audit-log/batch';
import type { AuditRecord } from '#audit-log/record';
import { AUDIT_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { RemoteSealingKeys } from '#platform/recording/sealing-keys';

/** A connection to an embedded server as one of its users of NATS. */
export function connectAsUser(dataDir: string, name: string): Promise<NatsConnection> {
  const { url, users } = JSON.parse(readFileSync(join(dataDir, 'nats/endpoint.json'), 'utf8'));
  const { user, password } = users[name];
  return connect({ servers: url, user, pass: password, inboxPrefix: `_INBOX_${name}` });
}

/** All that is on record, unsealed with the keys that a running crypto-worker gives. */
export async function auditRecords(nats: NatsConnection): Promise<AuditRecord[]> {
  const keys = new RemoteSealingKeys(nats);
  const records: AuditRecord[] = [];
  for (const batch of await batches(nats)) {
    const { writer } = batch.head;
    const scopes = batch.parts.map(({ account, month, generation = 1 }) => ({ account, month, generation, writer }));
    const found = await Promise.all(scopes.map((scope) => keys.toUnseal(scope)));
    const keyOf = ({ account, month }: { account: string; month: string }) =>
      found[scopes.findIndex((scope) => scope.account === account && scope.month === month)];
    records.push(...unsealBatch(batch, keyOf).map((stored) => recordOf(stored) as AuditRecord));
  }
  return records;
}

async function batches(nats: NatsConnection): Promise<DecodedBatch[]> {
  const found: DecodedBatch[] = [];
  for await (const { bytes } of new JetStreamEventStore(nats, { stream: AUDIT_STREAM }).read(1)) {
    found.push(decodeBatch(bytes));
  }
  return found;
}
