import type { NatsConnection } from 'nats';

export interface ConnectionListener {
  /** The connection was lost and stands again: answers and consumers of before are gone. */
  reconnected(): void;
  /** It will not come back. */
  closed(): void;
}

const watches = new WeakMap<NatsConnection, Set<ConnectionListener>>();

/** Tells the listener about the connection until the returned function is called. One status iterator a connection. */
export function watchConnection(nc: NatsConnection, listener: ConnectionListener): () => void {
  let listeners = watches.get(nc);
  if (!listeners) {
    listeners = new Set();
    watches.set(nc, listeners);
    void announceReconnects(nc, listeners);
    void announceClose(nc, listeners);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

async function announceReconnects(nc: NatsConnection, listeners: Set<ConnectionListener>): Promise<void> {
  for await (const { type } of nc.status()) {
    if (type === 'reconnect') for (const listener of [...listeners]) listener.reconnected();
  }
}

/** `status()` may not end when the connection is closed. */
async function announceClose(nc: NatsConnection, listeners: Set<ConnectionListener>): Promise<void> {
  await nc.closed();
  for (const listener of [...listeners]) listener.closed();
}
