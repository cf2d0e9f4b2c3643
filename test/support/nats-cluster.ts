import { freePorts, NatsServer, type TestNats, until } from './nats-server';

/** Real nats-servers that route to each other, on loopback. */
export interface TestNatsCluster {
  readonly nodes: readonly TestNats[];
  /** Every node's URL, for `connect({ servers })`. */
  readonly urls: string[];
  /**
   * Starts a node again, and resolves once all nodes follow one JetStream leader and have caught up with every stream.
   * A node that was killed now and then comes back with its routes up and yet takes part in no Raft group (2.10.27 on a
   * busy machine: 7 of 48 not within 20 s, some not within 60 s): it is started once more, as an operator would.
   */
  rejoin(node: TestNats): Promise<void>;
  stop(): Promise<void>;
}

/** Elections of a cluster that shares a busy machine take their time. */
const CURRENT_MS = 60_000;
export const FORMED_MS = 20_000;

/**
 * nats-servers that start at the same moment on a busy machine now and then elect a JetStream leader that never takes one
 * of them in (seen with 2.10.27: `cluster_size` 2 of 3 for a minute). Such a cluster is of no use, and is made anew.
 */
class ClusterNotFormedError extends Error {
  override readonly name = 'ClusterNotFormedError';
}

const FORMATIONS = 4;

/** Forms a cluster again as long as it does not take all its nodes in; `form` leaves nothing behind when it rejects. */
export async function formed<T>(form: () => Promise<T>): Promise<T> {
  for (let left = FORMATIONS; ; left--) {
    try {
      return await form();
    } catch (error) {
      if (!(error instanceof ClusterNotFormedError) || left === 1) throw error;
    }
  }
}

/** Starts a node until it is taken in again. */
export async function rejoined(start: () => Promise<void>, current: () => Promise<void>): Promise<void> {
  for (let left = FORMATIONS; ; left--) {
    await start();
    try {
      return await current();
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

/** Servers that route to each other; resolves once all of them are current. */
export const startNatsCluster = (size = 3, options: { config?: string } = {}): Promise<TestNatsCluster> =>
  formed(() => formNatsCluster(size, options));

async function formNatsCluster(size: number, options: { config?: string }): Promise<TestNatsCluster> {
  const ports = await freePorts(size * 3);
  const [clientPorts, routePorts, monitorPorts] = [0, 1, 2].map((i) => ports.slice(i * size, (i + 1) * size)) as [
    number[],
    number[],
    number[],
  ];
  const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`).join(', ');
  const nodes = clientPorts.map((port, i) => {
    const config = [
      `server_name: n${i + 1}`,
      `http: 127.0.0.1:${monitorPorts[i]}`,
      `cluster { name: test, listen: 127.0.0.1:${routePorts[i]}, routes: [${routes}] }`,
      options.config ?? '',
    ].join('\n');
    return new NatsServer(port, { config });
  });
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const current = (withinMs?: number) =>
    untilCurrent(
      monitorPorts.map((monitor, i) => ({ name: `n${i + 1}`, monitor })),
      () => {
        for (const node of nodes) node.assertAlive();
      },
      withinMs,
    );
  const rejoin = (node: TestNats) =>
    rejoined(
      () => node.restart(),
      () => current(FORMED_MS),
    );
  try {
    await Promise.all(nodes.map((node) => node.start()));
    await current();
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, urls: nodes.map((node) => node.url), rejoin, stop };
}

/** A Raft group, as one of its nodes sees it; what a node says of the replicas only counts while it leads. */
interface RaftGroup {
  leader?: string;
  /** Of the group of all nodes only. */
  cluster_size?: number;
  replicas?: { name: string; current: boolean; offline?: boolean }[];
}

interface JetStreamState {
  meta_cluster?: RaftGroup;
  account_details?: { stream_detail?: { name: string; cluster?: RaftGroup }[] }[];
}

export interface Monitored {
  /** The server's name. */
  name: string;
  /** Where it serves /jsz. */
  monitor: number;
}

/**
 * Resolves once all nodes follow one JetStream leader, and that one, as the leader of each stream, sees all others
 * current. What a node finds of itself at /healthz is not asked: one that comes back to an idle cluster may call itself
 * not current until something is proposed (seen with nats-server 2.10.27).
 */
export async function untilCurrent(
  nodes: readonly Monitored[],
  assertAlive: () => void,
  withinMs = CURRENT_MS,
): Promise<void> {
  let seen: unknown;
  const formedBy = performance.now() + FORMED_MS;
  const current = async () => {
    assertAlive();
    const states = await Promise.all(nodes.map(({ monitor }) => jetStreamState(monitor)));
    const metas = states.map((state) => state?.meta_cluster);
    if (performance.now() > formedBy && metas.some((meta) => meta?.cluster_size !== nodes.length)) {
      throw new ClusterNotFormedError(`the nodes did not find each other: ${JSON.stringify(metas)}`);
    }
    const streams = states.map(
      (state) => state?.account_details?.flatMap((account) => account.stream_detail ?? []) ?? [],
    );
    seen = { metas, streams };
    const names = new Set(streams.flat().map(({ name }) => name));
    const groups = [
      metas,
      ...[...names].map((name) => streams.map((all) => all.find((one) => one.name === name)?.cluster)),
    ];
    return groups.every((group) => isCurrent(nodes, group));
  };
  try {
    await until(current, 'the nodes of the cluster were not all current', withinMs);
  } catch (error) {
    if (error instanceof ClusterNotFormedError) throw error;
    throw new Error(`${(error as Error).message}: ${JSON.stringify(seen)}`);
  }
}

/** `views` is the same group as each of the nodes sees it. */
function isCurrent(nodes: readonly Monitored[], views: readonly (RaftGroup | undefined)[]): boolean {
  const leader = views[0]?.leader;
  if (!leader || views.some((view) => view?.leader !== leader)) return false;
  const replicas = views[nodes.findIndex(({ name }) => name === leader)]?.replicas ?? [];
  return replicas.length === nodes.length - 1 && replicas.every((replica) => replica.current && !replica.offline);
}

const jetStreamState = (port: number): Promise<JetStreamState | undefined> =>
  fetch(`http://127.0.0.1:${port}/jsz?accounts=true&streams=true`)
    .then((reply) => reply.json() as Promise<JetStreamState>)
    .catch(() => undefined);
