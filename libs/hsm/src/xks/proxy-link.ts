import { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns';
import { type IncomingMessage, Agent as PlainAgent, type RequestOptions, request as requestPlain } from 'node:http';
import { Agent, request as requestSecure } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { CONTENT_TYPE, LIMITS } from '#xks/limits';
import { failureOfConnection, type Progress, XksFailure } from './xks-failure';

export interface ProxyLinkOptions {
  endpoint: URL;
  /** PEM of the authorities that may vouch for the proxy; without it those that Node trusts. */
  ca?: string | Buffer | undefined;
  allowLoopback: boolean;
  requestTimeoutMs: number;
  connections: number;
}

export interface ProxyReply {
  status: number;
  contentType: string;
  body: Buffer;
}

/** Connections to one proxy, kept and used again. Sends nothing anywhere else: no redirect and no proxy of the environment. */
export class ProxyLink {
  private readonly agent: Agent | PlainAgent;
  private readonly isSecure: boolean;

  /** Throws where `ca` is no certificate. */
  constructor(private readonly options: ProxyLinkOptions) {
    this.isSecure = options.endpoint.protocol === 'https:';
    // What OpenSSL cannot parse it takes for nothing, and then nobody would be vouched for.
    if (options.ca !== undefined) new X509Certificate(options.ca);
    const kept = { keepAlive: true, maxSockets: options.connections, maxFreeSockets: options.connections };
    this.agent = this.isSecure
      ? new Agent({ ...kept, minVersion: 'TLSv1.2', rejectUnauthorized: true, ca: options.ca })
      : new PlainAgent(kept);
  }

  get host(): string {
    return this.options.endpoint.host;
  }

  /**
   * One reply, or XksFailure, within the time limit. `headers` makes those of one attempt. A kept connection that the proxy had closed
   * by the time it was used has cost nothing: then, once, on a new one.
   */
  async post(path: string, body: Buffer, headers: () => Record<string, string>): Promise<ProxyReply> {
    const deadline = performance.now() + this.options.requestTimeoutMs;
    try {
      return await this.attempt(path, body, headers(), deadline);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      // The others have been idle for as long.
      for (const sockets of Object.values(this.agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
      try {
        return await this.attempt(path, body, headers(), deadline);
      } catch (again) {
        throw again instanceof StaleConnection ? again.failure : again;
      }
    }
  }

  close(): void {
    this.agent.destroy();
  }

  private attempt(path: string, body: Buffer, headers: Record<string, string>, deadline: number): Promise<ProxyReply> {
    const { endpoint, allowLoopback } = this.options;
    const options: RequestOptions = {
      agent: this.agent,
      method: 'POST',
      host: endpoint.hostname.replace(/^\[|\]$/g, ''),
      port: endpoint.port === '' ? undefined : Number(endpoint.port),
      path,
      headers: { ...headers, 'content-type': CONTENT_TYPE, 'content-length': body.length },
      lookup: guardedLookup(allowLoopback),
      maxHeaderSize: 16_384,
    };
    return new Promise((resolve, reject) => {
      const progress: Progress = { connected: true, secured: true, answered: false };
      const request = this.isSecure ? requestSecure(options) : requestPlain(options);
      // Rejects by itself: whether a request that is destroyed says so depends on how far its reply has come.
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
        request.destroy();
      };
      const left = Math.max(0, Math.ceil(deadline - performance.now()));
      const timer = setTimeout(() => fail(timedOut(progress)), left);
      request.on('socket', (socket) => {
        if (!socket.connecting) return;
        progress.connected = false;
        progress.secured = !this.isSecure;
        socket.once('connect', () => {
          progress.connected = true;
        });
        (socket as TLSSocket).once('secureConnect', () => {
          progress.secured = true;
        });
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        const failure = failureOfConnection(error, progress);
        const closed = error.code === 'ECONNRESET' || error.code === 'EPIPE';
        fail(request.reusedSocket && closed && !progress.answered ? new StaleConnection(failure) : failure);
      });
      request.on('response', (response) => {
        progress.answered = true;
        readReply(response).then(
          (reply) => {
            clearTimeout(timer);
            resolve(reply);
          },
          (error: NodeJS.ErrnoException) => fail(failureOfConnection(error, progress)),
        );
      });
      request.end(body);
    });
  }
}

class StaleConnection extends Error {
  override readonly name = 'StaleConnection';

  constructor(readonly failure: Error) {
    super('a kept connection had been closed');
  }
}

const timedOut = ({ connected }: Progress): XksFailure =>
  connected
    ? new XksFailure('timeout', 'the external key store proxy did not answer in time')
    : new XksFailure('unreachable', 'the external key store proxy could not be connected to in time');

async function readReply(response: IncomingMessage): Promise<ProxyReply> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > LIMITS.replyBody) {
      throw new XksFailure(
        'invalid-response',
        `the external key store proxy answered more than ${LIMITS.replyBody} bytes`,
      );
    }
    pieces.push(piece);
  }
  return {
    status: response.statusCode ?? 0,
    contentType: response.headers['content-type'] ?? '',
    body: Buffer.concat(pieces, length),
  };
}

/** Where metadata services and this machine's own programs listen, which a name that anybody can set must not lead to. */
const NEVER = new BlockList();
NEVER.addSubnet('0.0.0.0', 8, 'ipv4');
NEVER.addSubnet('169.254.0.0', 16, 'ipv4');
NEVER.addSubnet('224.0.0.0', 4, 'ipv4');
NEVER.addSubnet('240.0.0.0', 4, 'ipv4');
NEVER.addAddress('::', 'ipv6');
NEVER.addSubnet('fe80::', 10, 'ipv6');
NEVER.addSubnet('ff00::', 8, 'ipv6');
NEVER.addAddress('fd00:ec2::254', 'ipv6');
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether a proxy may be at this address. */
export function isAllowedAddress(address: string, allowLoopback: boolean): boolean {
  const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
  return !NEVER.check(address, family) && (allowLoopback || !LOOPBACK.check(address, family));
}

/** Checks what is connected to, so that a name cannot be looked up once more with another result. */
const guardedLookup =
  (allowLoopback: boolean): LookupFunction =>
  (hostname, options, callback) =>
    lookup(hostname, options, (error, found: unknown, family?: number) => {
      const addresses = Array.isArray(found) ? (found as { address: string }[]) : [{ address: String(found) }];
      const refused = !error && addresses.some(({ address }) => !isAllowedAddress(address, allowLoopback));
      const failure = refused
        ? new XksFailure(
            'invalid-configuration',
            'the name of the external key store proxy leads to an address that is not allowed',
          )
        : error;
      (callback as (error: Error | null, found?: unknown, family?: number) => void)(failure, found, family);
    });
