import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'nats';
import { MATERIAL_STREAM } from '#domain/subjects';

/** Every stored material of a running embedded server: its subject and its wrapped bytes. */
export async function storedMaterial(dataDir: string): Promise<Map<string, Buffer>> {
  const endpoint = JSON.parse(readFileSync(join(dataDir, 'nats/endpoint.json'), 'utf8'));
  const { user, password } = endpoint.users.embedded;
  const nats = await connect({ servers: endpoint.url, user, pass: password });
  try {
    const manager = await nats.jetstreamManager();
    const { state } = await manager.streams.info(MATERIAL_STREAM, { subjects_filter: '>' });
    const stored = new Map<string, Buffer>();
    for (const subject of Object.keys(state.subjects ?? {})) {
      const message = await manager.streams.getMessage(MATERIAL_STREAM, { last_by_subj: subject });
      stored.set(subject, Buffer.from(message.data));
    }
    return stored;
  } finally {
    await nats.close();
  }
}

/** Paths, below `folder`, of the files that have `bytes` in them. */
export function filesHolding(folder: string, bytes: Uint8Array): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && readFileSync(path).includes(bytes));
}
