/** How one figure is told to Prometheus. Times are in seconds. */
export interface MetricDefinition {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  /** Each has few values, that no caller chooses: never an id (but of clusters, HSMs and custom key stores, which are few), a name or anything else of a request. */
  labels?: readonly string[];
  /** Of a histogram: upper bounds, ascending. */
  buckets?: readonly number[];
}

/** From an answer out of memory, by a record on disk and a revoking write that waits for a lease, to the 30 s of a time-out. */
const REQUEST_BUCKETS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From a software provider, by a local device, to one over a network that hangs. */
const HSM_BUCKETS = [0.00005, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10];
/** A message to disk, on one node or on a majority of three; 15 s is where an append is given up. */
const APPEND_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15];
/** Up to the longest lease that can be set, and more. */
const BARRIER_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60];
/** A batch has 1,000 records at most. */
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/** THE table of metrics: what GET /metrics may show, beside the figures of the process itself. docs/monitoring.md explains them. */
export const METRIC_TABLE = {
  keytrail_requests_total: {
    type: 'counter',
    help: 'Requests answered, by AWS service, operation and outcome (OK or an error code).',
    labels: ['service', 'operation', 'outcome'],
  },
  keytrail_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from a whole request to its reply.',
    labels: ['service', 'operation'],
    buckets: REQUEST_BUCKETS,
  },
  keytrail_http_requests_in_flight: { type: 'gauge', help: 'HTTP requests that are being answered.' },
  keytrail_http_connections: { type: 'gauge', help: 'Open HTTP connections.' },
  keytrail_http_admission_refusals_total: {
    type: 'counter',
    help: 'HTTP requests, or connections, that were not let in, by the bound they met.',
    labels: ['bound'],
  },
  keytrail_nats_requests_in_flight: { type: 'gauge', help: 'Requests over NATS that are being answered.' },
  keytrail_quota_refusals_total: {
    type: 'counter',
    help: 'Requests beyond a request quota, by class of quota.',
    labels: ['class'],
  },
  keytrail_log_position: { type: 'gauge', help: "Position of the event log's newest commit." },
  keytrail_view_position: { type: 'gauge', help: 'Position of the newest commit folded in.' },
  keytrail_view_lag_commits: { type: 'gauge', help: 'Commits in the event log that are not folded in yet.' },
  keytrail_event_append_duration_seconds: {
    type: 'histogram',
    help: 'Time of an append to the event log, by outcome (appended, conflict, failed).',
    labels: ['outcome'],
    buckets: APPEND_BUCKETS,
  },
  keytrail_keys: { type: 'gauge', help: 'Keys by state.', labels: ['state'] },
  keytrail_keys_pending_deletion: {
    type: 'gauge',
    help: 'Keys pending deletion by whole days left; 0 within 24 hours.',
    labels: ['days_left'],
  },
  keytrail_imported_material_expiring: {
    type: 'gauge',
    help: 'Keys whose imported material expires, by whole days left; 0 within 24 hours.',
    labels: ['days_left'],
  },
  keytrail_timers_waiting: { type: 'gauge', help: 'Timers, due or not, by kind.', labels: ['kind'] },
  keytrail_timers_overdue: {
    type: 'gauge',
    help: 'Timers that are due and have not fired, by kind; at most 1,000 are counted.',
    labels: ['kind'],
  },
  keytrail_timers_fired_total: {
    type: 'counter',
    help: 'Timers that changed something, by kind.',
    labels: ['kind'],
  },
  keytrail_lease_held: { type: 'gauge', help: '1 while this process may complete operations.' },
  keytrail_barrier_wait_duration_seconds: {
    type: 'histogram',
    help: 'Time that revoking writes waited for every process to have applied them.',
    buckets: BARRIER_BUCKETS,
  },
  keytrail_hsm_up: { type: 'gauge', help: '1 if the provider of the root key wrapped and unwrapped, when last asked.' },
  keytrail_hsm_call_duration_seconds: {
    type: 'histogram',
    help: 'Time of a call to the provider of the root key, by operation.',
    labels: ['provider', 'operation'],
    buckets: HSM_BUCKETS,
  },
  keytrail_hsm_errors_total: {
    type: 'counter',
    help: 'Calls to the provider of the root key that failed, by operation and reason (unavailable, timeout, altered, other).',
    labels: ['provider', 'operation', 'reason'],
  },
  keytrail_custom_key_stores: {
    type: 'gauge',
    help: 'Custom key stores, by type and connection state.',
    labels: ['type', 'state'],
  },
  keytrail_custom_key_store_up: {
    type: 'gauge',
    help: '1 while this process is connected to a custom key store that is CONNECTED, and its proxy, where it has one, was healthy when last asked.',
    labels: ['store'],
  },
  keytrail_cluster_hsms: {
    type: 'gauge',
    help: 'HSMs of clusters, by cluster, availability zone and state.',
    labels: ['cluster', 'zone', 'state'],
  },
  keytrail_cluster_hsm_up: {
    type: 'gauge',
    help: '1 while calls are made in the HSM, of those that this process is connected to.',
    labels: ['hsm', 'zone'],
  },
  keytrail_cluster_hsm_sessions: {
    type: 'gauge',
    help: 'Open sessions with the HSM.',
    labels: ['hsm', 'zone'],
  },
  keytrail_cluster_sync_lag_seconds: {
    type: 'gauge',
    help: 'For how long the HSM may not have had all keys of its cluster; 0 where it has.',
    labels: ['hsm', 'zone'],
  },
  keytrail_cluster_call_duration_seconds: {
    type: 'histogram',
    help: "Time of a call to a cluster's HSM, by zone and call.",
    labels: ['zone', 'call'],
    buckets: HSM_BUCKETS,
  },
  keytrail_cluster_call_errors_total: {
    type: 'counter',
    help: "Calls that a cluster's HSM could not answer, by zone and call.",
    labels: ['zone', 'call'],
  },
  keytrail_cluster_call_timeouts_total: {
    type: 'counter',
    help: "Calls that a cluster's HSM did not answer in time, by zone and call.",
    labels: ['zone', 'call'],
  },
  keytrail_audit_backlog: { type: 'gauge', help: 'Calls that are not on record yet.' },
  keytrail_audit_batch_records: {
    type: 'histogram',
    help: 'Records in a batch that was stored.',
    buckets: BATCH_BUCKETS,
  },
  keytrail_audit_batch_duration_seconds: {
    type: 'histogram',
    help: 'Time from the making of a batch of records until it was durable.',
    buckets: APPEND_BUCKETS,
  },
  keytrail_audit_batch_failures_total: { type: 'counter', help: 'Tries to store a batch of records that failed.' },
  keytrail_unrecorded_calls_total: {
    type: 'counter',
    help: 'Calls of nobody known that were refused without a record, being too many.',
  },
  keytrail_tree_head_age_seconds: {
    type: 'gauge',
    help: 'Time since the newest signed tree head was last seen to hold the whole log, by tree.',
    labels: ['tree'],
  },
  keytrail_trail_files_age_seconds: {
    type: 'gauge',
    help: 'Time since all records were last seen to be in trail files.',
  },
  keytrail_tree_head_published_age_seconds: {
    type: 'gauge',
    help: 'Time since the newest signed tree head was last seen to be there, by tree and place (witnesses: cosigned by all; bucket).',
    labels: ['tree', 'place'],
  },
  keytrail_history_lag: { type: 'gauge', help: 'Batches of records that are not in the event history yet.' },
  keytrail_history_unreadable: {
    type: 'gauge',
    help: 'Batches, records and commits that the event history could not read since the start.',
  },
  keytrail_nats_connected: { type: 'gauge', help: '1 while the connection to NATS stands.' },
  keytrail_nats_reconnects_total: { type: 'counter', help: 'Times that a lost connection to NATS was made again.' },
  keytrail_nats_messages_total: {
    type: 'counter',
    help: 'Messages over the connection to NATS, by direction.',
    labels: ['direction'],
  },
  keytrail_nats_bytes_total: {
    type: 'counter',
    help: 'Bytes over the connection to NATS, by direction.',
    labels: ['direction'],
  },
  keytrail_nats_logins_total: { type: 'counter', help: 'Logins of NATS clients, by outcome.', labels: ['outcome'] },
  keytrail_certificate_not_after_seconds: {
    type: 'gauge',
    help: 'When the certificate that HTTPS is served with ends, in seconds since the epoch.',
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName<T extends MetricDefinition['type']> = {
  [N in keyof typeof METRIC_TABLE]: (typeof METRIC_TABLE)[N]['type'] extends T ? N : never;
}[keyof typeof METRIC_TABLE];
