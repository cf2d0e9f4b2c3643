import { connect, type Socket } from 'node:net';

/** The bare protocol of NATS: the server answers a PING only after every refusal of what came before it. */
export class Wire {
  private received = '';
  private socket: Socket | undefined;
  private changed = (): void => {};

  /** Rejects when the server lets nobody in with these. */
  async open(port: number, user: string, pass: string): Promise<this> {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString();
      this.changed();
    });
    this.socket.on('close', () => this.changed());
    const options = JSON.stringify({ user, pass, verbose: false, pedantic: false, protocol: 1, headers: true });
    const refused = await this.refusals(`CONNECT ${options}`);
    if (refused.length > 0) throw new Error(refused.join());
    return this;
  }

  /** What the server refuses of these protocol lines. */
  async refusals(lines: string): Promise<string[]> {
    this.received = '';
    this.socket!.write(`${lines}\r\nPING\r\n`);
    while (!this.received.includes('PONG\r\n')) {
      if (this.socket!.closed) throw new Error(`the server closed the connection: ${this.received}`);
      await new Promise<void>((resolve) => {
        this.changed = resolve;
      });
    }
    return this.received.split('\r\n').filter((line) => line.startsWith('-ERR'));
  }

  close(): void {
    this.socket?.destroy();
  }
}
