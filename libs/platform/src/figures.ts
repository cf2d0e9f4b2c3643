import type { EventStore } from '#event-store/event-store';
import type { Quotas } from '#operations/quotas/quotas';
import { COUNTED_STATES } from '#views/indexes/key-census';
import type { LiveView } from '#views/live-view';
import type { Admission } from './admission';
import type { Clock } from './clock';
import type { Metrics, Series } from './metrics';
import type { NatsLink } from './nats-link';
import type { RevocationBarrier } from './revocation-barrier';
import type { ServedRequests } from './served-requests';

// What the parts of a process have to tell of themselves, each read when the metrics are.

const DAY_MS = 86_400_000;
const LONGEST_WAITING_PERIOD_DAYS = 30;

export function showHttp(metrics: Metrics, admission: Admission): void {
  metrics.gauge('keytrail_http_requests_in_flight', () => admission.inFlight);
  metrics.gauge('keytrail_http_connections', () => admission.open);
  metrics.counts('keytrail_http_admission_refusals_total', () =>
    Object.entries(admission.refusals).map(([bound, count]): Series => [{ bound }, count]),
  );
}

export function showNats(metrics: Metrics, link: NatsLink, served: () => readonly ServedRequests[]): void {
  metrics.gauge('keytrail_nats_connected', () => Number(link.connected()));
  metrics.counts('keytrail_nats_reconnects_total', () => [[{}, link.reconnects()]]);
  metrics.counts('keytrail_nats_messages_total', () => {
    const { inMsgs, outMsgs } = link.nats.stats();
    return [
      [{ direction: 'in' }, inMsgs],
      [{ direction: 'out' }, outMsgs],
    ];
  });
  metrics.counts('keytrail_nats_bytes_total', () => {
    const { inBytes, outBytes } = link.nats.stats();
    return [
      [{ direction: 'in' }, inBytes],
      [{ direction: 'out' }, outBytes],
    ];
  });
  metrics.gauge('keytrail_nats_requests_in_flight', () => served().reduce((sum, { inFlight }) => sum + inFlight, 0));
}

export function showQuotas(metrics: Metrics, quotas: Quotas): void {
  metrics.counts('keytrail_quota_refusals_total', () =>
    [...quotas.refusals].map(([name, count]): Series => [{ class: name }, count]),
  );
}

/** Of whoever follows the log. How far it has come is asked of its leader, once for all who read the metrics meanwhile. */
export function showView(metrics: Metrics, log: Pick<EventStore, 'lastPosition'>, view: LiveView, clock: Clock): void {
  let asked: Promise<number | undefined> | undefined;
  const logPosition = (): Promise<number | undefined> => {
    asked ??= log
      .lastPosition()
      // Not known: no figure, rather than an old one.
      .catch(() => undefined)
      .finally(() => {
        asked = undefined;
      });
    return asked;
  };
  metrics.gauge('keytrail_log_position', logPosition);
  metrics.gauge('keytrail_view_position', () => view.position);
  metrics.gauge('keytrail_view_lag_commits', async () => {
    const position = await logPosition();
    return position === undefined ? undefined : Math.max(0, position - view.position);
  });
  const { keyCensus } = view.projection;
  metrics.gauges('keytrail_keys', () => COUNTED_STATES.map((state): Series => [{ state }, keyCensus.inState(state)]));
  metrics.gauges('keytrail_keys_pending_deletion', () => {
    const byDays = new Array<number>(LONGEST_WAITING_PERIOD_DAYS + 1).fill(0);
    for (const { hour, keys } of keyCensus.deletions()) byDays[daysLeft(hour, clock.now())]! += keys;
    return byDays.map((keys, days): Series => [{ days_left: String(days) }, keys]);
  });
}

/** Whole days until then: 0 for less than one, and for what has gone by. */
const daysLeft = (then: string, now: number): number =>
  Math.min(LONGEST_WAITING_PERIOD_DAYS, Math.max(0, Math.floor((Date.parse(then) - now) / DAY_MS)));

/** The barrier, timed. */
export function timedBarrier(metrics: Metrics, barrier: RevocationBarrier): Pick<RevocationBarrier, 'applied'> {
  const waited = metrics.histogram('keytrail_barrier_wait_duration_seconds');
  return {
    async applied(position) {
      const started = performance.now();
      try {
        await barrier.applied(position);
      } finally {
        waited.observe((performance.now() - started) / 1000);
      }
    },
  };
}
