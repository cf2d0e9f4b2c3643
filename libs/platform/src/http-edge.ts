import { randomUUID } from 'node:crypto';
import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { KmsError } from '#domain/errors';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/run-operation';
import { OPERATION_TABLE } from '#operations/table';
import { CONTENT_TYPE } from '#operations/wire/wire';
import { type Claim, parseClaim, type SignedRequest } from '#sigv4/claim';
import { checkFreshness, checkScope, UNRECOGNIZED_CLIENT, verifySignature } from '#sigv4/verify';
import type { Admission } from './admission';
import type { Dispatcher } from './dispatch';
import type { Health } from './health';
import type { Metrics } from './metrics';
import type { SigningIdentity, SigningKeys } from './signing-keys';

const TARGET_PREFIX = 'TrentService.';
const SERVICES = ['kms'];
/**
 * What a nats-server takes in one message by default (max_payload, 1 MiB with headers), less room for our headers: a
 * body that is let in here reaches its service over NATS too. The largest request of the API model is smaller, a policy
 * of 131,072 characters, each escaped in 6 bytes.
 */
export const MAX_BODY_BYTES = 1_048_576 - 4_096;
const EMPTY = Buffer.alloc(0);

export interface HttpEdgePorts {
  dispatcher: Dispatcher;
  signingKeys: SigningKeys;
  metrics: Metrics;
  health: Health;
  observe: ErrorObserver;
}

/** The AWS JSON 1.1 endpoint: one route for all operations, and every other path answered in AWS's own form. */
export function serveHttpEdge(http: FastifyInstance, ports: HttpEdgePorts, admission: Admission): void {
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (_request, body, done) =>
    done(null, body),
  );
  serveHealth(http, ports);
  const edge = new HttpEdge(ports, admission);
  // Without a route for every method, Fastify and Nest would answer the others in their own form.
  const methods = METHODS.filter((method) => method !== 'CONNECT');
  for (const method of methods)
    if (!http.supportedMethods.includes(method)) http.addHttpMethod(method, { hasBody: true });
  http.route({
    method: methods,
    url: '/*',
    handler: (request, reply) => edge.handle(request, reply),
    errorHandler: (error, _request, reply) => edge.refuse(reply, refusalOf(error)),
  });
}

/** Health and metrics, which every service serves. */
export function serveHealth(
  http: FastifyInstance,
  { health, metrics }: Pick<HttpEdgePorts, 'health' | 'metrics'>,
): void {
  http.get('/healthz', (_request, reply) => {
    const report = health.report();
    reply.code(report.status === 'ready' ? 200 : 503).send(report);
  });
  http.get('/metrics', async (_request, reply) => {
    reply.header('Content-Type', metrics.registry.contentType);
    return metrics.registry.metrics();
  });
}

function refusalOf(error: Error & { code?: string; statusCode?: number }): KmsError {
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new KmsError('RequestEntityTooLargeException', `The request body has more than ${MAX_BODY_BYTES} bytes.`);
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new KmsError('SerializationException', 'The request could not be read.');
  }
  return new KmsError('KMSInternalException', 'An internal error occurred.', error);
}

class HttpEdge {
  constructor(
    private readonly ports: HttpEdgePorts,
    private readonly admission: Admission,
  ) {}

  handle(request: FastifyRequest, reply: FastifyReply): void {
    const { socket } = request.raw;
    const refused = this.admission.enter(socket);
    if (refused) {
      this.refuse(reply, refused);
      return;
    }
    const started = performance.now();
    const requestId = randomUUID();
    let inFlight = true;
    // Authentication comes first, so an unknown operation shows only to a caller with a good signature.
    let name = 'Unknown';
    const answer = (answered: OperationReply): void => {
      if (inFlight) this.admission.leave(socket);
      inFlight = false;
      this.ports.metrics.answered(name, answered.error ?? 'OK', (performance.now() - started) / 1000);
      send(reply, answered, requestId);
    };
    const fail = (error: unknown): void =>
      answer(errorReply(error, { operation: name, requestId }, this.ports.observe));
    try {
      const url = request.raw.url ?? '/';
      const mark = url.indexOf('?');
      const signed: SignedRequest = {
        method: request.method,
        path: mark < 0 ? url : url.slice(0, mark),
        query: mark < 0 ? '' : url.slice(mark + 1),
        headers: request.headers,
        body: request.body instanceof Uint8Array ? request.body : EMPTY,
      };
      const claim = parseClaim(signed);
      checkScope(claim, SERVICES);
      checkFreshness(claim, Date.now());
      const go = (identity: SigningIdentity | undefined): void | Promise<void> => {
        if (!identity) throw new KmsError('UnrecognizedClientException', UNRECOGNIZED_CLIENT);
        verifySignature(claim, signed, identity.signingKey);
        const operation = operationOf(request, signed.query);
        name = operation.name;
        const answered = this.ports.dispatcher.dispatch(operation, signed.body, callerOf(claim, identity), requestId);
        if (answered instanceof Promise) return answered.then(answer);
        answer(answered);
      };
      const identity = this.ports.signingKeys.identify(claim);
      const running = identity instanceof Promise ? identity.then(go) : go(identity);
      if (running instanceof Promise) running.catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  refuse(reply: FastifyReply, error: KmsError): void {
    const requestId = randomUUID();
    // Under load there would be as many log lines as refusals.
    const observe = error.code === 'ServiceUnavailableException' ? () => {} : this.ports.observe;
    const answered = errorReply(error, { operation: 'Unknown', requestId }, observe);
    this.ports.metrics.answered('Unknown', error.code, 0);
    send(reply, answered, requestId);
  }
}

const callerOf = (claim: Claim, identity: SigningIdentity) => ({
  region: claim.region,
  account: identity.account,
  principalId: identity.principalId,
  principalArn: identity.principalArn,
});

function operationOf(request: FastifyRequest, query: string) {
  const unknown = (): KmsError => new KmsError('UnknownOperationException', '');
  if (request.method !== 'POST') throw unknown();
  // A presigner may have moved the headers that it signs into the query.
  const moved = query === '' ? undefined : new URLSearchParams(query);
  const target = request.headers['x-amz-target'] ?? moved?.get('X-Amz-Target');
  const type = request.headers['content-type'];
  if (typeof target !== 'string' || !target.startsWith(TARGET_PREFIX)) throw unknown();
  if (!moved?.has('X-Amz-Signature') && !type?.startsWith(CONTENT_TYPE)) throw unknown();
  const operation = OPERATION_TABLE.get(target.slice(TARGET_PREFIX.length));
  if (!operation) throw unknown();
  return operation;
}

/** An empty structure, `{}`: over HTTP, AWS answers what returns nothing with no body at all. */
const isNothing = (body: string | Uint8Array): boolean => body.length === 2;

function send(reply: FastifyReply, { status, body }: OperationReply, requestId: string): void {
  const bytes = isNothing(body) ? EMPTY : typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  reply.hijack();
  reply.raw.writeHead(status, {
    'Content-Type': CONTENT_TYPE,
    'Content-Length': bytes.length,
    'x-amzn-RequestId': requestId,
  });
  reply.raw.end(bytes);
}
