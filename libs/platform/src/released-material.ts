import type { KeyCommand } from '#domain/key/commands';
import { isLiving } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import type { Projection } from '#views/projection';

export interface ReleasingPorts {
  manager: {
    projection: Projection;
    runUnchecked(
      ref: AggregateRef<'key'>,
      command: KeyCommand,
      origin: CommandOrigin,
    ): Promise<{ events: readonly unknown[] }>;
  };
  materials: { destroy(ref: AggregateRef<'key'>, place: string): Promise<void> };
}

/**
 * Erases the copies of imported material that the key has released, and records it: whether there were any. Harmless to
 * repeat; a crash anywhere leaves the timer `MaterialErasure` due.
 */
export async function eraseReleased(
  { manager, materials }: ReleasingPorts,
  ref: AggregateRef<'key'>,
  origin: CommandOrigin,
): Promise<boolean> {
  const key = manager.projection.folded(ref)?.state;
  const places = key && isLiving(key) ? (key.released ?? []).map(({ storedAs }) => storedAs) : [];
  if (places.length === 0) return false;
  await Promise.all(places.map((place) => materials.destroy(ref, place)));
  const { events } = await manager.runUnchecked(ref, { type: 'RecordReleasedErased', storedAs: places }, origin);
  return events.length > 0;
}
