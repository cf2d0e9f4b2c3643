import { readdirSync, readFileSync } from 'node:fs';
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
export function filesHolding(folder: string, bytes: Buffer): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => contentOf(path).includes(bytes));
}

const NO_CONTENT = Buffer.alloc(0);

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    // A folder, or a file that the running server has just renamed or removed.
    if (['EISDIR', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return NO_CONTENT;
    throw error;
  }
}
