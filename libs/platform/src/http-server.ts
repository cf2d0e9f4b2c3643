import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Admission } from './admission';
import type { ServedCertificate } from './served-certificate';
import { KMS_REFUSALS, type UnreadRefusals, unreadRequests } from './unread-requests';

/** What the HTTP port puts up with. Times in ms. */
export const HTTP_LIMITS = {
  /** For all headers, or for the first byte of a new connection. They are a few KB: who needs longer is stalling. */
  headersTimeout: 10_000,
  /** For the whole request. A megabyte, the largest body, arrives in it on a line of 0.3 Mbit/s. */
  requestTimeout: 30_000,
  /** How late the two above may be; Node's own 30 s would make them 40 and 60. */
  connectionsCheckingInterval: 1_000,
  /** For the TLS handshake, during which there are no headers to wait for. */
  handshakeTimeout: 10_000,
  /** Between requests. Longer than load balancers (60 s), so that it is not we who close while a request is on its way. */
  keepAliveTimeout: 72_000,
  /**
   * With not a byte in either direction: a client that does not take its answers. Longer than any answer: up to 15 s for the
   * signing key and 40 s for the reply of another service.
   */
  inactivityTimeout: 90_000,
  /** Node's default, written down: a signed request with a session token and tags has about 6 KB of headers. */
  maxHeaderSize: 16_384,
  /**
   * No limit: a flood is held by the bound on requests in flight, and requests past a limit would get a bare 503 of
   * Node's that no SDK understands.
   */
  maxRequestsPerSocket: 0,
  /** About 10 KB each. The operating system must allow as many files (ulimit -n). */
  connections: 8_000,
  /** TLS connections that are not through their handshake come on top; past this the kernel's queue takes them. */
  maxConnections: 10_000,
  /** Far more than a process has use for at once; beyond, waiting would only be longer. */
  inFlight: 1_024,
  /** No SDK pipelines. */
  inFlightPerConnection: 32,
};

export type HttpLimits = typeof HTTP_LIMITS;

export interface HttpServer {
  adapter: FastifyAdapter;
  admission: Admission;
}

/** The HTTP or HTTPS server of a process, bounded in every direction; what is served is set up on the adapter. */
export function httpServer(
  certificate?: ServedCertificate,
  limits: HttpLimits = HTTP_LIMITS,
  refusals: UnreadRefusals = KMS_REFUSALS,
): HttpServer {
  const admission = new Admission(limits);
  const serverFactory = (handler: RequestListener): Server => {
    // Without it a request is refused by its signature, which is over that header: Node would answer in its own form.
    const options = { ...limits, requireHostHeader: false };
    const server = certificate
      ? createSecureServer({ ...options, ...certificate.options }, handler)
      : createServer(options, handler);
    // What is expected beside `100-continue` may be passed over (RFC 9110, 10.1.1); Node would refuse it in its own form.
    server.on('checkExpectation', handler);
    server.timeout = limits.inactivityTimeout;
    server.maxConnections = limits.maxConnections;
    server.maxRequestsPerSocket = limits.maxRequestsPerSocket;
    if ('setSecureContext' in server) certificate?.serveOn(server);
    admission.watch(server, certificate ? 'secureConnection' : 'connection');
    return server;
  };
  const adapter = new FastifyAdapter({
    logger: false,
    // A stop closes what is idle, and serves to its end what came in on the other connections.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: false,
    // `OPTIONS *` is about the whole server, and no route would match it.
    rewriteUrl: ({ url = '/' }) => (url === '*' ? '/*' : url),
    serverFactory,
    ...unreadRequests((socket) => admission.isServing(socket), refusals),
  });
  return { adapter, admission };
}

/** How long a stop waits for HTTP requests in flight before it cuts them off. */
const STOP_WAIT_MS = 10_000;
const IDLE_LOOK_MS = 50;

/** Runs `close`, which stops the server, and sees to it that no connection holds that up for ever. */
export async function stopHttp(server: Server, close: () => Promise<unknown>): Promise<void> {
  const cut = setTimeout(() => server.closeAllConnections(), STOP_WAIT_MS);
  // A connection whose request had begun before is kept alive after its answer.
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
  try {
    await close();
  } finally {
    clearTimeout(cut);
    clearInterval(idle);
  }
}
