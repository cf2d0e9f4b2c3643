import { createHash } from 'node:crypto';
import { AGGREGATE_TYPES } from '#domain/aggregates';
import { eventSubject, INTERNAL } from '#domain/subjects';
import type { Folded } from '#views/folded';
import type { LiveView } from '#views/live-view';
import type { Projection } from '#views/projection';
import type { ServedRequests } from './served-requests';

/** What a service holds of one aggregate, in short: verify compares it with its own fold of the log. */
export interface AggregateDigest {
  subject: string;
  digest: string;
}

/** One message of a service's answer; the last one has `done`. */
export interface DigestPage {
  service: string;
  instance: string;
  position: number;
  digests: AggregateDigest[];
  done: boolean;
}

const PAGE = 1_000;

const digestOf = (folded: Folded<unknown>): AggregateDigest => ({
  subject: eventSubject(folded.ref),
  digest: createHash('sha256')
    .update(JSON.stringify([folded.version, folded.seq, folded.hash, folded.state]))
    .digest('hex')
    .slice(0, 32),
});

export const digestsOf = (projection: Projection): AggregateDigest[] =>
  AGGREGATE_TYPES.flatMap((type) => Array.from<Folded<unknown>, AggregateDigest>(projection.all(type), digestOf));

/** Has this process answer what it holds, at the position it holds it. */
export function serveViewDigests(served: ServedRequests, service: string, instance: string, view: LiveView): void {
  served.serve(INTERNAL.viewDigests, undefined, (message) => {
    const digests = digestsOf(view.projection);
    const { position } = view;
    for (let at = 0; at === 0 || at < digests.length; at += PAGE) {
      const page: DigestPage = {
        service,
        instance,
        position,
        digests: digests.slice(at, at + PAGE),
        done: at + PAGE >= digests.length,
      };
      served.respond(message, JSON.stringify(page));
    }
  });
}
