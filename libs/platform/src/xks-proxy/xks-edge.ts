import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { KmsError } from '#domain/errors';
import type { SignedRequest } from '#sigv4/claim';
import type { Access } from '#xks/access';
import { CONTENT_TYPE, LIMITS } from '#xks/limits';
import { type Route, routeOf } from '#xks/paths';
import { answerProxyRequest, type KeyManager, type Noted } from '#xks/proxy';
import { ProxyError } from '#xks/proxy-error';
import { encodeError } from '#xks/replies';
import type { Admission } from '../admission';
import { readBody } from '../request-body';
import type { UnreadRefusal, UnreadRefusals } from '../unread-requests';

export interface XksEdgePorts {
  uriPath: string;
  /** The key manager, for one request from now on. */
  keys(): KeyManager;
  access(): Access;
  /** Whether the HSM worked when it was last tried. */
  healthy(): boolean;
  now(): number;
  log: Logger;
}

const unread = (message: string): UnreadRefusal => {
  const error = new ProxyError('ValidationException', message);
  return { status: error.status, contentType: CONTENT_TYPE, body: encodeError(error) };
};

/** For what is no HTTP. */
export const XKS_REFUSALS: UnreadRefusals = {
  unreadable: unread('The request could not be read.'),
  tooSlow: unread('The request did not arrive in time.'),
};

/** The XKS proxy API, and `GET /healthz` for load balancers. */
export function serveXks(http: FastifyInstance, ports: XksEdgePorts, admission: Admission): void {
  const edge = new XksEdge(ports, admission);
  const methods = METHODS.filter((method) => method !== 'CONNECT');
  for (const method of methods)
    if (!http.supportedMethods.includes(method)) http.addHttpMethod(method, { hasBody: true });
  http.get('/healthz', (_request, reply) => {
    const healthy = ports.healthy();
    reply.code(healthy ? 200 : 503).send({ status: healthy ? 'ready' : 'unready' });
  });
  http.route({
    method: methods,
    url: '/*',
    onRequest: (request, reply) => edge.receive(request, reply),
    // Never reached: whoever takes the request over before its body is read does all the rest.
    handler: () => {},
  });
}

class XksEdge {
  constructor(
    private readonly ports: XksEdgePorts,
    private readonly admission: Admission,
  ) {}

  /** From here on Fastify has no part in the request: nothing may be thrown past it. */
  receive(request: FastifyRequest, reply: FastifyReply): void {
    reply.hijack();
    const started = performance.now();
    const { path, query } = targetOf(request);
    const route = query === undefined ? routeOf(this.ports.uriPath, path) : undefined;
    const noted: Noted = {};
    const answer = (status: number, body: Buffer, error?: ProxyError): void => {
      send(reply, status, body);
      this.note(request, route, noted, performance.now() - started, error);
    };
    const refuse = (error: unknown): void => {
      const refusal = refusalOf(error);
      try {
        answer(refusal.status, encodeError(refusal), refusal);
      } catch {
        // Nobody is there to be told any more.
        request.raw.socket.destroy();
      }
    };
    if (!route) {
      refuse(new ProxyError('InvalidUriPathException', 'This proxy serves no such path.'));
      return;
    }
    if (request.method !== 'POST') {
      reply.raw.writeHead(405, { Allow: 'POST', 'Content-Length': 0 }).end();
      return;
    }
    readBody(
      request.raw,
      LIMITS.requestBody,
      (body) => {
        const { socket } = request.raw;
        const full = this.admission.enter(socket);
        if (full) {
          refuse(full);
          return;
        }
        const signed: SignedRequest = { method: 'POST', path, query: '', headers: request.headers, body };
        this.answered(route, signed, noted)
          .finally(() => this.admission.leave(socket))
          .then((replied) => answer(200, replied))
          .catch(refuse);
      },
      refuse,
    );
  }

  /** Rejects with all that goes wrong, and throws nothing. */
  private async answered(route: Route, signed: SignedRequest, noted: Noted): Promise<Buffer> {
    const { keys, access, now } = this.ports;
    return answerProxyRequest(route, signed, { keys: keys(), access: access(), nowMs: now(), noted });
  }

  /** One line for each request; nothing of what is encrypted or decrypted, and no secret, is in it. */
  private note(
    { method }: FastifyRequest,
    route: Route | undefined,
    { accessKeyId, requestMetadata }: Noted,
    ms: number,
    error?: ProxyError,
  ): void {
    const line = {
      operation: route?.operation ?? 'unknown',
      ...(route && 'keyId' in route && { keyId: route.keyId }),
      ...(method !== 'POST' && { method }),
      accessKeyId,
      ...requestMetadata,
      outcome: error?.errorName ?? 'ok',
      ms: Math.round(ms * 10) / 10,
      ...(error?.cause instanceof Error && { cause: error.cause.message }),
    };
    const { log } = this.ports;
    if (error && error.status >= 500) log.error(line, 'request');
    else if (error?.errorName === 'ThrottlingException') log.debug(line, 'request');
    else log.info(line, 'request');
  }
}

/** As it came over the wire. */
function targetOf(request: FastifyRequest): { path: string; query: string | undefined } {
  const url = request.raw.url ?? '/';
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, query: undefined } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

/** What is said of anything that went wrong. */
function refusalOf(error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  if (!(error instanceof KmsError)) {
    return new ProxyError('InternalException', 'An internal error occurred.', { cause: error });
  }
  switch (error.code) {
    case 'ThrottlingException':
    case 'ServiceUnavailableException':
      return new ProxyError('ThrottlingException', error.message);
    default:
      return new ProxyError('ValidationException', error.message);
  }
}

function send(reply: FastifyReply, status: number, body: Buffer): void {
  reply.raw.writeHead(status, { 'Content-Type': CONTENT_TYPE, 'Content-Length': body.length });
  reply.raw.end(body);
}
