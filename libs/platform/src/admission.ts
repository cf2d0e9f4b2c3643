import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { KmsError } from '#domain/errors';

export interface AdmissionLimits {
  /** Open connections; past it the one longest without an answered request is closed for the new one. */
  connections: number;
  /** Requests of all connections that are being answered. */
  inFlight: number;
  /** Requests of one connection that are being answered: what it may pipeline. */
  inFlightPerConnection: number;
}

/**
 * Who is let in at the HTTP port. One connection cannot take all that there is, and idle ones, however many, give way
 * to those that ask for something. A request counts from when it is whole, so that one which never becomes whole
 * takes no place away.
 */
export class Admission {
  /** Requests being answered by connection; the connection longest without an answer comes first. */
  private readonly connections = new Map<Socket, number>();
  private readonly newest = new WeakMap<Socket, ServerResponse>();
  private total = 0;
  /** How often each bound was met: a request refused, or a connection closed. */
  readonly refusals: Record<keyof AdmissionLimits, number> = { connections: 0, inFlight: 0, inFlightPerConnection: 0 };

  constructor(private readonly limits: AdmissionLimits) {}

  watch(server: Server, event: 'connection' | 'secureConnection'): void {
    server.on(event, (socket: Socket) => {
      this.connections.set(socket, 0);
      socket.once('close', () => this.connections.delete(socket));
      if (this.connections.size > this.limits.connections) this.closeOneBut(socket);
    });
    server.on('request', (request: IncomingMessage, response) => this.newest.set(request.socket, response));
  }

  /** Why the request cannot be served now, or undefined: then `leave` must be called once it is answered. */
  enter(socket: Socket): KmsError | undefined {
    const own = this.connections.get(socket) ?? 0;
    if (own >= this.limits.inFlightPerConnection) {
      this.refusals.inFlightPerConnection++;
      return new KmsError('ThrottlingException', 'Too many requests are waiting on this connection.');
    }
    if (this.total >= this.limits.inFlight) {
      this.refusals.inFlight++;
      return new KmsError('ServiceUnavailableException', 'Too many requests are being served now; try again.');
    }
    this.total++;
    this.connections.set(socket, own + 1);
    return undefined;
  }

  leave(socket: Socket): void {
    this.total--;
    const own = this.connections.get(socket);
    // Closed in the meantime.
    if (own === undefined) return;
    this.connections.delete(socket);
    if (!socket.destroyed) this.connections.set(socket, own - 1);
  }

  /** Whether a whole request of the connection has no answer yet, even one that has only just been read. */
  isServing(socket: Socket): boolean {
    const newest = this.newest.get(socket);
    return (this.connections.get(socket) ?? 0) > 0 || (newest?.req.complete === true && !newest.writableEnded);
  }

  get open(): number {
    return this.connections.size;
  }

  get inFlight(): number {
    return this.total;
  }

  private closeOneBut(newest: Socket): void {
    this.refusals.connections++;
    for (const [socket, own] of this.connections) {
      if (own > 0 || socket === newest) continue;
      socket.destroy();
      this.connections.delete(socket);
      return;
    }
    newest.destroy();
  }
}
