import { cloudHsmCodeOf } from '#domain/cloudhsm-errors';
import { ERRORS, type ErrorCode, KmsError } from '#domain/errors';
import { queryCodeOf } from '#domain/query-errors';
import type { Operation, ServiceName } from '#operations/operation';
import type { OperationReply } from '#operations/operation-reply';
import { operationNamed } from '#operations/table';
import { FORM_TYPE, parseParameters, queryToJson } from '#operations/wire/query';
import { CONTENT_TYPE } from '#operations/wire/wire';
import { XML_TYPE, xmlError, xmlReply } from '#operations/wire/xml';
import type { SignedRequest } from '#sigv4/claim';

/** An operation with its request as JSON, whatever it came as. */
export interface ReadRequest {
  operation: Operation;
  body: Uint8Array;
}

export interface HttpReply {
  status: number;
  contentType: string;
  body: Uint8Array;
}

/** How a service of AWS is spoken to over HTTP. Behind it all is JSON. */
export interface HttpProtocol {
  service: ServiceName;
  /** Throws KmsError for what names no operation of the service, or cannot be read. */
  read(request: SignedRequest): ReadRequest;
  write(reply: OperationReply, operation: string, requestId: string): HttpReply;
}

const EMPTY = Buffer.alloc(0);

/** AWS JSON 1.1. */
const jsonProtocol = (service: ServiceName, ...targetPrefixes: string[]): HttpProtocol => ({
  service,
  read({ method, headers, query, body }) {
    const unknown = (): KmsError => new KmsError('UnknownOperationException', '');
    if (method !== 'POST') throw unknown();
    // A presigner may have moved the headers that it signs into the query.
    const moved = query === '' ? undefined : new URLSearchParams(query);
    const target = headers['x-amz-target'] ?? moved?.get('X-Amz-Target');
    const type = headers['content-type'];
    const prefix = typeof target === 'string' ? targetPrefixes.find((one) => target.startsWith(one)) : undefined;
    if (typeof target !== 'string' || prefix === undefined) throw unknown();
    if (!moved?.has('X-Amz-Signature') && !(typeof type === 'string' && type.startsWith(CONTENT_TYPE))) throw unknown();
    const operation = operationNamed(service, target.slice(prefix.length));
    if (!operation) throw unknown();
    return { operation, body };
  },

  write: ({ status, body }) => ({
    status,
    contentType: CONTENT_TYPE,
    // An empty structure, `{}`: over HTTP, AWS answers what returns nothing with no body at all.
    body: body.length === 2 ? EMPTY : typeof body === 'string' ? Buffer.from(body, 'utf8') : body,
  }),
});

/** AWS Query: a form or a query string in, XML out. */
function queryProtocol(service: ServiceName, version: string): HttpProtocol {
  const namespace = `https://${service}.amazonaws.com/doc/${version}/`;
  return {
    service,
    read({ method, headers, query, body }) {
      const type = headers['content-type'];
      const isForm = typeof type === 'string' && type.startsWith(FORM_TYPE);
      if (!(method === 'POST' && isForm) && !(method === 'GET' && body.length === 0)) {
        throw new KmsError('InvalidAction', `Expected GET, or POST of ${FORM_TYPE}.`);
      }
      const parameters = parseParameters(query, body);
      const action = parameters.get('Action') ?? '';
      const asked = parameters.get('Version') ?? 'NO_VERSION_SPECIFIED';
      const operation = operationNamed(service, action);
      if (!operation || asked !== version) {
        const shown = (text: string): string => text.slice(0, 128);
        throw new KmsError('InvalidAction', `Could not find operation ${shown(action)} for version ${shown(asked)}`);
      }
      return { operation, body: queryToJson(operation.request, parameters) };
    },

    write({ status, body, error }, operation, requestId) {
      const xml = (status: number, text: string): HttpReply => ({
        status,
        contentType: XML_TYPE,
        body: Buffer.from(text, 'utf8'),
      });
      const json = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8')) as object;
      if (error === undefined) return xml(status, xmlReply(operation, namespace, json, requestId));
      const code = queryCodeOf(error);
      const { status: codeStatus } = ERRORS[code];
      const { message = '' } = json as { message?: string };
      return xml(codeStatus, xmlError(namespace, { code, message, status: codeStatus }, requestId));
    },
  };
}

/** A service whose errors all have its name in theirs. */
const cloudHsmProtocol = (protocol: HttpProtocol): HttpProtocol => ({
  ...protocol,
  write(reply, operation, requestId) {
    const code: ErrorCode | undefined = reply.error && cloudHsmCodeOf(reply.error);
    if (code === undefined || code === reply.error) return protocol.write(reply, operation, requestId);
    const { body } = reply;
    const told = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8')) as object;
    const renamed = { body: JSON.stringify({ ...told, __type: code }), error: code, status: ERRORS[code].status };
    return protocol.write(renamed, operation, requestId);
  },
});

/** THE protocols, by the service in the scope of a signature. */
const PROTOCOLS: Readonly<Record<ServiceName, HttpProtocol>> = {
  kms: jsonProtocol('kms', 'TrentService.'),
  iam: queryProtocol('iam', '2010-05-08'),
  sts: queryProtocol('sts', '2011-06-15'),
  // The API model's, and the one that the SDKs made of its Smithy form send.
  cloudtrail: jsonProtocol(
    'cloudtrail',
    'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.',
    'CloudTrail_20131101.',
  ),
  cloudhsm: cloudHsmProtocol(jsonProtocol('cloudhsm', 'BaldrApiService.')),
};

export const SERVICES = Object.keys(PROTOCOLS) as ServiceName[];

/** `service` must be one of SERVICES. */
export const protocolOf = (service: string): HttpProtocol => PROTOCOLS[service as ServiceName];

/** For a refusal of what names no service yet: that of IAM and STS for whoever seems to speak it. */
export function apparentProtocol({ headers, query }: Pick<SignedRequest, 'headers' | 'query'>): HttpProtocol {
  const type = headers['content-type'];
  const speaksQuery = (typeof type === 'string' && type.startsWith(FORM_TYPE)) || /(?:^|&)Action=/.test(query);
  return speaksQuery ? PROTOCOLS.sts : PROTOCOLS.kms;
}
