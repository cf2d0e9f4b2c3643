import { randomUUID } from 'node:crypto';
import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isRegionName } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { CallerClaim } from '#operations/caller';
import { unrecognizedClient } from '#operations/caller-refusals';
import type { Operation } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/operation-reply';
import { parseClaim, type SignatureClaim, type SignedRequest } from '#sigv4/claim';
import { checkFreshness, checkScope, verifySignature } from '#sigv4/verify';
import type { Admission } from './admission';
import type { Dispatcher } from './dispatcher';
import { type HttpHealthPorts, serveHealth } from './http-health';
import { apparentProtocol, type HttpProtocol, type HttpReply, protocolOf, SERVICES } from './http-protocols';
import { type EdgeRecords, eventIdOf } from './recording/edge-records';
import { readBody } from './request-body';
import type { SigningIdentity, SigningKeys } from './signing-keys';
import { tlsDetailsOf } from './tls-details';
import { tracedHttp } from './tracing';

/**
 * What a nats-server takes in one message by default (max_payload, 1 MiB with headers), less room for our headers: a
 * body that is let in here reaches its service over NATS too. The largest request of the API model is smaller, a policy
 * of 131,072 characters, each escaped in 6 bytes.
 */
export const MAX_BODY_BYTES = 1_048_576 - 4_096;
const EMPTY = Buffer.alloc(0);

export interface HttpEdgePorts extends HttpHealthPorts {
  dispatcher: Dispatcher;
  signingKeys: SigningKeys;
  observe: ErrorObserver;
  /** Absent where no records are kept. */
  records?: EdgeRecords | undefined;
}

/** The endpoint of all services that table.ts names, AWS KMS and others: one route for all operations, and every other path answered in AWS's own form. */
export function serveHttpEdge(http: FastifyInstance, ports: HttpEdgePorts, admission: Admission): void {
  serveHealth(http, ports);
  const edge = new HttpEdge(ports, admission);
  // Without a route for every method, Fastify and Nest would answer the others in their own form.
  const methods = METHODS.filter((method) => method !== 'CONNECT');
  for (const method of methods)
    if (!http.supportedMethods.includes(method)) http.addHttpMethod(method, { hasBody: true });
  http.route({
    method: methods,
    url: '/*',
    onRequest: (request, reply) => edge.receive(request, reply),
    // Never reached: whoever takes the request over before its body is read does all the rest.
    handler: () => {},
    errorHandler: (error, request, reply) => edge.refuse(request, reply, refusalOf(error)),
  });
}

function refusalOf(error: Error & { code?: string; statusCode?: number }): KmsError {
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

  /** From here on Fastify has no part in the request: nothing may be thrown past it. */
  receive(request: FastifyRequest, reply: FastifyReply): void {
    reply.hijack();
    const guarded = (run: () => void): void => {
      try {
        run();
      } catch (error) {
        this.ports.observe(error, 'Unknown', 'none');
        request.raw.destroy();
      }
    };
    readBody(
      request.raw,
      MAX_BODY_BYTES,
      (body) => guarded(() => tracedHttp(request, reply, () => this.handle(request, reply, body))),
      (error) => guarded(() => this.refuse(request, reply, error)),
    );
  }

  private handle(request: FastifyRequest, reply: FastifyReply, body: Uint8Array): void {
    const { socket } = request.raw;
    // Nobody waits for an answer any more, and where it came from is not known: it is not begun.
    if (socket.destroyed) return;
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
    const signed = signedRequestOf(request, body);
    const connection = connectionOf(request);
    let protocol = apparentProtocol(signed);
    const leave = (): void => {
      if (inFlight) this.admission.leave(socket);
      inFlight = false;
    };
    const answer = (answered: OperationReply): void => {
      const written = protocol.write(answered, name, requestId);
      leave();
      this.ports.metrics.answered(name, answered.error ?? 'OK', (performance.now() - started) / 1000);
      send(reply, written, requestId);
    };
    let claim: SignatureClaim | undefined;
    let identity: SigningIdentity | undefined;
    /** For what cannot be answered at all. */
    const giveUp = (error: unknown): void => {
      leave();
      this.ports.observe(error, name, requestId);
      socket.destroy();
    };
    const fail = (error: unknown): void => {
      const refusal = errorReply(error, { operation: name, requestId }, this.ports.observe);
      // It failed over the answer itself, which has been counted and may have begun.
      if (!inFlight) {
        socket.destroy();
        return;
      }
      const call = { operation: operationAskedFor(protocol, signed), requestId, eventId: eventIdOf(requestId) };
      try {
        const recorded = this.ports.records?.refused(refusal, call, saidBy(connection, claim, identity));
        if (recorded) recorded.then(answer).catch(giveUp);
        else answer(refusal);
      } catch (again) {
        giveUp(again);
      }
    };
    try {
      const claimed = parseClaim(signed);
      claim = claimed;
      checkScope(claimed, SERVICES);
      protocol = protocolOf(claimed.service);
      checkFreshness(claimed, Date.now());
      const go = (found: SigningIdentity | undefined): void | Promise<void> => {
        if (!found) throw unrecognizedClient();
        verifySignature(claimed, signed, found.signingKey);
        identity = found;
        const { operation, body: input } = protocol.read(signed);
        name = operation.name;
        const { records, dispatcher } = this.ports;
        const vouched = vouchedClaim(claimed, found, connection, records && eventIdOf(requestId));
        const answered = dispatcher.dispatch(operation, input, vouched, requestId);
        if (answered instanceof Promise) return answered.then(answer);
        answer(answered);
      };
      const identified = this.ports.signingKeys.identify(claimed);
      const running = identified instanceof Promise ? identified.then(go) : go(identified);
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
    const protocol = apparentProtocol(signedRequestOf(request, EMPTY));
    send(reply, protocol.write(answered, 'Unknown', requestId), requestId);
  }
}

type Connection = Pick<CallerClaim, 'sourceIp' | 'secureTransport' | 'tls' | 'userAgent'>;

/** What a request came by. To be asked at once: of a connection that the client has closed nothing is known, not even its address. */
function connectionOf(request: FastifyRequest): Connection {
  const { socket } = request.raw;
  return {
    sourceIp: addressOf(socket.remoteAddress),
    secureTransport: 'encrypted' in socket && socket.encrypted === true,
    tls: tlsDetailsOf(request),
    userAgent: userAgentOf(request),
  };
}

/** What a good signature, and the connection that it came by, vouch for. */
const vouchedClaim = (
  { region, accessKeyId, sessionToken }: SignatureClaim,
  { account, principalId }: SigningIdentity,
  connection: Connection,
  eventId: string | undefined,
): CallerClaim => ({ region, account, principalId, accessKeyId, sessionToken, ...connection, eventId });

/** What is on record of who made a refused request. Without `identity`, what it says of itself, as far as that has its form. */
function saidBy(
  { sourceIp, tls, userAgent }: Connection,
  claim?: SignatureClaim,
  identity?: SigningIdentity,
): Partial<CallerClaim> {
  return {
    ...{ sourceIp, tls, userAgent },
    ...(claim && isRegionName(claim.region) && { region: claim.region }),
    ...(claim && /^\w{4,128}$/.test(claim.accessKeyId) && { accessKeyId: claim.accessKeyId }),
    ...(identity && { account: identity.account, principalId: identity.principalId }),
  };
}

const LONGEST_USER_AGENT = 1_024;

function userAgentOf({ headers }: FastifyRequest): string | undefined {
  const given = headers['user-agent'];
  if (given === undefined) return undefined;
  // It goes on as a header of NATS.
  const bounded = given.length > LONGEST_USER_AGENT ? given.slice(0, LONGEST_USER_AGENT) : given;
  return /[^ -~]/.test(bounded) ? bounded.replace(/[^ -~]/g, '?') : bounded;
}

/** What a refused request was for, as far as it says so. */
function operationAskedFor(
  protocol: HttpProtocol,
  signed: SignedRequest,
): Pick<Operation, 'name' | 'service' | 'plane'> {
  try {
    return protocol.read(signed).operation;
  } catch {
    return { name: 'Unknown', service: protocol.service, plane: 'control' };
  }
}

/** An IPv4 client of a socket that takes both kinds is shown as an IPv6 address, which no policy would mean. */
const addressOf = (remote: string | undefined): string | undefined =>
  remote?.startsWith('::ffff:') ? remote.slice('::ffff:'.length) : remote;

function send(reply: FastifyReply, { status, contentType, body }: HttpReply, requestId: string): void {
  reply.raw.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': body.length,
    'x-amzn-RequestId': requestId,
  });
  reply.raw.end(body);
}

/** As it came over the wire. */
function signedRequestOf(request: FastifyRequest, body: Uint8Array): SignedRequest {
  const url = request.raw.url ?? '/';
  const mark = url.indexOf('?');
  return {
    method: request.method,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    headers: request.headers,
    body,
  };
}
