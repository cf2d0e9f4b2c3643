import { KmsError } from '#domain/errors';
import type { EventStore } from './event-store';

/** A view of the log, as far as it can be behind. */
export interface BehindableView {
  position(): number;
  /** Resolves once the view has folded in everything up to `position`. */
  reached(position: number): Promise<void>;
}

type End = Pick<EventStore, 'lastPosition'>;

/** Throws DependencyTimeoutException where the log's leader does not say. */
export async function newestPosition(store: End): Promise<number> {
  try {
    return await store.lastPosition();
  } catch (error) {
    throw new KmsError('DependencyTimeoutException', 'The event log did not answer in time; try again.', error);
  }
}

/** Whether the log held more than the view did, now or at the position `held`; resolves once the view has it. */
export async function wasBehind(view: BehindableView, store: End, held = view.position()): Promise<boolean> {
  const newest = await newestPosition(store);
  if (newest <= held) return false;
  await view.reached(newest);
  return true;
}
