import { TLSSocket } from 'node:tls';
import type { FastifyRequest } from 'fastify';
import type { TlsDetails } from '#audit-log/record';

const OF_CONNECTION = new WeakMap<TLSSocket, Omit<TlsDetails, 'clientProvidedHostHeader'>>();

const UNKNOWN = 'unknown';

/** The longest name of a host, and a port (RFC 1035). */
const LONGEST_HOST = 261;

/** Undefined of a request over plain HTTP. To be asked while its connection is there: of one that is gone it is not known. */
export function tlsDetailsOf({ raw: { socket, headers } }: FastifyRequest): TlsDetails | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  let details = OF_CONNECTION.get(socket);
  if (!details) {
    // Neither is known of a connection that is gone, whatever the types say.
    const cipher: { name: string } | null = socket.getCipher();
    details = { tlsVersion: socket.getProtocol() ?? UNKNOWN, cipherSuite: cipher?.name ?? UNKNOWN };
    OF_CONNECTION.set(socket, details);
  }
  const { host } = headers;
  // It goes on as a header of NATS, the last word there.
  return host ? { ...details, clientProvidedHostHeader: host.slice(0, LONGEST_HOST).replace(/[^!-~]/g, '?') } : details;
}

export const tlsHeader = ({ tlsVersion, cipherSuite, clientProvidedHostHeader: host }: TlsDetails): string =>
  [tlsVersion, cipherSuite, ...(host ? [host] : [])].join(' ');

/** Undefined where a header of tlsHeader is missing. */
export function tlsDetailsIn(header: string | undefined): TlsDetails | undefined {
  const [tlsVersion, cipherSuite, clientProvidedHostHeader] = header?.split(' ') ?? [];
  if (!tlsVersion || !cipherSuite) return undefined;
  return { tlsVersion, cipherSuite, ...(clientProvidedHostHeader && { clientProvidedHostHeader }) };
}
