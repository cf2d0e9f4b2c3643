import { type Root, rootKeyInUse } from '#domain/root/root';
import type { HsmProvider } from '#hsm/hsm-provider';
import type { LiveView } from '#views/live-view';

/**
 * Has the provider wrap under the root key that the log names, from the commit on that names it: before this process tells
 * anybody that it has applied it. To be called before the process takes a lease.
 */
export function followRoot(
  view: Pick<LiveView, 'projection' | 'onCommit'>,
  provider: Pick<HsmProvider, 'use' | 'destroyEpoch'>,
  onError: (error: unknown) => void,
): void {
  const follow = (root: Root): void => {
    const key = rootKeyInUse(root);
    if (!key) return;
    provider.use(key);
    // Nobody but the process that rotated has done so yet: each may hold it in memory, or keep a file of its own; and a backup may
    // have brought it back.
    if (root.rootState === 'Rotated') provider.destroyEpoch(key.epoch - 1).catch(onError);
  };
  follow(view.projection.root);
  view.onCommit(({ aggregate }) => {
    if (aggregate === 'root') follow(view.projection.root);
  });
}
