import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { rootArn } from '#domain/arn';
import { MemoryEventStore } from '#event-store/memory-event-store';
import type { BackingKey } from '#hsm/backing-key';
import { MaterialNotLoaded } from '#operations/operation';
import { runOperation } from '#operations/run-operation';
import { OPERATION_TABLE } from '#operations/table';
import { KeyManager } from '#platform/key-manager';
import { LiveView } from '#views/live-view';

export const ACCOUNT = '000000000000';

interface Reply {
  /** The error's code, or OK. */
  code: string;
  /** The error's message, '' where there is none. */
  message: string;
  body: Record<string, unknown>;
}

/** Every operation on a log in memory: from the JSON of a request to the JSON of its reply. */
export class MemoryOperations {
  /** ms since the epoch; a test moves it. */
  now = Date.parse('2026-01-01T00:00:00.000Z');
  private readonly store = new MemoryEventStore();
  private readonly view = new LiveView();
  private readonly backingKeys = new Map<string, BackingKey>();
  private readonly manager = new KeyManager({
    store: this.store,
    view: this.view,
    clock: { now: () => this.now },
    materials: {
      create: async (keyArn, materialId) => {
        // Not a secret: the same for the same material, so that a repeat stores the same.
        const bytes = createHash('sha256').update(materialId).digest();
        this.backingKeys.set(materialId, { keyArn, materialId, keyObject: createSecretKey(bytes) });
      },
      destroy: async (_ref, materialId) => {
        this.backingKeys.delete(materialId);
      },
    },
    appliedEverywhere: async () => {},
    failPoint: () => {},
  });

  async call(operation: string, input: object, region = 'us-east-1'): Promise<Reply> {
    const caller = { region, account: ACCOUNT, principalId: 'root', principalArn: rootArn(ACCOUNT) };
    const reply = await runOperation(
      OPERATION_TABLE.get(operation)!,
      Buffer.from(JSON.stringify(input)),
      { caller, requestId: 'test', operation, now: new Date(this.now).toISOString() },
      {
        control: {
          projection: this.view.projection,
          newKeyId: () => this.manager.newKeyId(),
          wasBehind: () => this.manager.wasBehind(),
          runCommand: (ref, command, call) => this.manager.runCommand(ref, command, call),
        },
        data: {
          projection: this.view.projection,
          backingKey: (keyArn, materialId) => {
            const backingKey = this.backingKeys.get(materialId);
            if (!backingKey) throw new MaterialNotLoaded(keyArn, materialId);
            return backingKey;
          },
          loadBackingKey: (_keyArn, materialId) => Promise.reject(new Error(`no material ${materialId}`)),
          random: (length) => randomBytes(length),
        },
        serving: { assertHeld: () => {}, begin: () => ({ assertNotOver: () => {}, end: () => {} }) },
      },
      (error) => {
        throw error;
      },
    );
    const body = JSON.parse(reply.body.toString()) as Record<string, unknown>;
    return { code: reply.error ?? 'OK', message: String(body['message'] ?? ''), body };
  }

  /** A new key's id and ARN. */
  async newKey(region?: string): Promise<{ KeyId: string; Arn: string }> {
    const { body } = await this.call('CreateKey', {}, region);
    return body['KeyMetadata'] as { KeyId: string; Arn: string };
  }
}
