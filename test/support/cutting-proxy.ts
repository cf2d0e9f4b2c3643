import { connect, createServer, type Socket } from 'node:net';
import { freePort } from './nats-server';

/** A TCP proxy before a server that can lose what the server answers, as a failing network does. */
export interface CuttingProxy {
  url: string;
  /**
   * Waits for a client to send `text`, forwards that to the server, and from then on forwards nothing back.
   * Resolves when it was sent; `cut` then ends those connections, so that the client connects anew.
   */
  swallowRepliesAfter(text: string): Promise<{ cut(): void }>;
  stop(): Promise<void>;
}

interface Trap {
  text: string;
  sprung(cut: () => void): void;
}

export async function startCuttingProxy(targetPort: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let trap: Trap | undefined;
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    let swallowing = false;
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', cut);
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on('data', (chunk) => {
      if (trap && chunk.includes(trap.text)) {
        const { sprung } = trap;
        trap = undefined;
        swallowing = true;
        upstream.write(chunk, () => sprung(cut));
      } else {
        upstream.write(chunk);
      }
    });
    upstream.on('data', (chunk) => {
      if (!swallowing) client.write(chunk);
    });
  });
  const port = await freePort();
  await new Promise<void>((ready) => server.listen(port, '127.0.0.1', ready));
  return {
    url: `nats://127.0.0.1:${port}`,
    swallowRepliesAfter: (text) =>
      new Promise((resolve) => {
        trap = { text, sprung: (cut) => resolve({ cut }) };
      }),
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
