import { randomUUID } from 'node:crypto';
import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isRegionName } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { CallerClaim } from '#operations/caller';
import type { Operation } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/run-operation';
import { type Claim, parseClaim, type SignedRequest } from '#sigv4/claim';
import { checkFreshness, checkScope, UNRECOGNIZED_CLIENT, verifySignature } from '#sigv4/verify';
import type { Admission } from './admission';
import type { Dispatcher } from './dispatch';
import type { Health } from './health';
import { apparentProtocol, type HttpProtocol, type HttpReply, protocolOf, SERVICES } from './http-protocols';
import type { Metrics } from './metrics';
import { type EdgeRecords, eventIdOf } from './recording/edge-records';
import type { SigningIdentity, SigningKeys } from './signing-keys';
import { tracedHttp } from './tracing';
import { serveTlog } from './tree-heads/tlog-http';
import type { TreeProofs } from './tree-heads/tree-proofs';

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
  /** Of the process that keeps the trees. */
  proofs?: TreeProofs | undefined;
  observe: ErrorObserver;
  /** Absent where no records are kept. */
  records?: EdgeRecords | undefined;
}

/** The endpoint of AWS KMS, IAM and STS: one route for all operations, and every other path answered in AWS's own form. */
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
    handler: (request, reply) => tracedHttp(request, reply, () => edge.handle(request, reply)),
    errorHandler: (error, request, reply) => edge.refuse(request, reply, refusalOf(error)),
  });
}

/** Health and metrics, which every service serves; beside them the trees, where they are kept. */
export function serveHealth(
  http: FastifyInstance,
  { health, metrics, proofs }: Pick<HttpEdgePorts, 'health' | 'metrics' | 'proofs'>,
): void {
  if (proofs) serveTlog(http, proofs);
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
      this.refuse(request, reply, refused);
      return;
    }
    const started = performance.now();
    const requestId = randomUUID();
    let inFlight = true;
    // Authentication comes first, so an unknown operation shows only to a caller with a good signature.
    let name = 'Unknown';
    const signed = signedRequestOf(request);
    let protocol = apparentProtocol(signed);
    const answer = (answered: OperationReply): void => {
      const written = protocol.write(answered, name, requestId);
      if (inFlight) this.admission.leave(socket);
      inFlight = false;
      this.ports.metrics.answered(name, answered.error ?? 'OK', (performance.now() - started) / 1000);
      send(reply, written, requestId);
    };
    // What is said of the caller in the record of a refusal, proved or not.
    let said: Partial<CallerClaim> = from(request);
    const fail = (error: unknown): void => {
      const refusal = errorReply(error, { operation: name, requestId }, this.ports.observe);
      // It failed over the answer itself, which has been counted and may have begun.
      if (!inFlight) {
        socket.destroy();
        return;
      }
      const call = { operation: operationAskedFor(protocol, signed), requestId, eventId: eventIdOf(requestId) };
      const recorded = this.ports.records?.refused(refusal, call, said);
      if (recorded) void recorded.then(answer).catch(() => socket.destroy());
      else answer(refusal);
    };
    try {
      const claim = parseClaim(signed);
      said = { ...said, ...saidOf(claim) };
      checkScope(claim, SERVICES);
      protocol = protocolOf(claim.service);
      checkFreshness(claim, Date.now());
      const go = (identity: SigningIdentity | undefined): void | Promise<void> => {
        if (!identity) throw new KmsError('UnrecognizedClientException', UNRECOGNIZED_CLIENT);
        verifySignature(claim, signed, identity.signingKey);
        said = { ...said, account: identity.account, principalId: identity.principalId };
        const { operation, body } = protocol.read(signed);
        name = operation.name;
        const { records, dispatcher } = this.ports;
        const vouched = claimOf(claim, identity, request, records && eventIdOf(requestId));
        const answered = dispatcher.dispatch(operation, body, vouched, requestId);
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

  refuse(request: FastifyRequest, reply: FastifyReply, error: KmsError): void {
    const requestId = randomUUID();
    // Under load there would be as many log lines as refusals.
    const observe = error.code === 'ServiceUnavailableException' ? () => {} : this.ports.observe;
    const answered = errorReply(error, { operation: 'Unknown', requestId }, observe);
    this.ports.metrics.answered('Unknown', error.code, 0);
    const protocol = apparentProtocol(signedRequestOf(request));
    send(reply, protocol.write(answered, 'Unknown', requestId), requestId);
  }
}

/** What a good signature, and the connection that it came by, vouch for. */
function claimOf(
  { region, accessKeyId, sessionToken }: Claim,
  identity: SigningIdentity,
  request: FastifyRequest,
  eventId: string | undefined,
): CallerClaim {
  const { socket } = request.raw;
  return {
    region,
    account: identity.account,
    principalId: identity.principalId,
    accessKeyId,
    sessionToken,
    sourceIp: addressOf(socket.remoteAddress),
    secureTransport: 'encrypted' in socket && socket.encrypted === true,
    userAgent: userAgentOf(request),
    eventId,
  };
}

/** What is on record of a request that nobody is known to have made. */
const from = (request: FastifyRequest): Partial<CallerClaim> => ({
  sourceIp: addressOf(request.raw.socket.remoteAddress),
  userAgent: userAgentOf(request),
});

/** As far as it has the form of what it says it is. */
const saidOf = ({ region, accessKeyId }: Claim): Partial<CallerClaim> => ({
  ...(isRegionName(region) && { region }),
  ...(/^\w{4,128}$/.test(accessKeyId) && { accessKeyId }),
});

const LONGEST_USER_AGENT = 1_024;

function userAgentOf({ headers }: FastifyRequest): string | undefined {
  const given = headers['user-agent'];
  if (given === undefined) return undefined;
  // It goes on as a header of NATS.
  return given.slice(0, LONGEST_USER_AGENT).replace(/[^ -~]/g, '?');
}

/** What a refused request was for, as far as it says so. */
function operationAskedFor(
  protocol: HttpProtocol,
  signed: SignedRequest,
): Pick<Operation, 'name' | 'service' | 'plane'> {
  try {
    return protocol.read(signed).operation;
  } catch {
    return { name: 'Unknown', service: 'kms', plane: 'control' };
  }
}

/** An IPv4 client of a socket that takes both kinds is shown as an IPv6 address, which no policy would mean. */
const addressOf = (remote: string | undefined): string | undefined =>
  remote?.startsWith('::ffff:') ? remote.slice('::ffff:'.length) : remote;

function send(reply: FastifyReply, { status, contentType, body }: HttpReply, requestId: string): void {
  reply.hijack();
  reply.raw.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': body.length,
    'x-amzn-RequestId': requestId,
  });
  reply.raw.end(body);
}

/** As it came over the wire. */
function signedRequestOf(request: FastifyRequest): SignedRequest {
  const url = request.raw.url ?? '/';
  const mark = url.indexOf('?');
  return {
    method: request.method,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    headers: request.headers,
    body: request.body instanceof Uint8Array ? request.body : EMPTY,
  };
}
