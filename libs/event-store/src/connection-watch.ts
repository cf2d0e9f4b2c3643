import type { NatsConnection } from 'nats';

export interface ConnectionListener {
  /** The connection was lost and stands again: answers and consumers of before are gone. */
  reconnected(): void;
  /** It will not come back. */
  closed?(): void;
}

const watches = new WeakMap<NatsConnection, Set<ConnectionListener>>();

/** Tells the listener about the connection until the returned function is called. One status iterator a connection. */
export function watchConnection(nc: NatsConnection, listener: ConnectionListener): () => void {
  let listeners = watches.get(nc);
  if (!listeners) {
    listeners = new Set();
    watches.set(nc, listeners);
    void announce(nc, listeners);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

async function announce(nc: NatsConnection, listeners: Set<ConnectionListener>): Promise<void> {
  for await (const { type } of nc.status()) {
    if (type === 'reconnect') for (const listener of [...listeners]) listener.reconnected();
  }
  for (const listener of [...listeners]) listener.closed?.();
}
