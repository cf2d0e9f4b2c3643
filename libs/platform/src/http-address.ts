import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Settings } from './settings';

/** The port to serve HTTP on, 0 for any free one: a gateway's API, another's health; undefined for none. */
export function httpPort(parts: readonly string[], { port, healthPort }: Settings): number | undefined {
  if (parts.includes('gateway')) return port;
  return healthPort === 0 ? undefined : healthPort;
}

const LOOPBACK_ADDRESSES = new BlockList();
LOOPBACK_ADDRESSES.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK_ADDRESSES.addAddress('::1', 'ipv6');

/** A name other than localhost may resolve to anything. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || (isIP(host) !== 0 && LOOPBACK_ADDRESSES.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6'));

const LOOPBACK: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** The host to listen on. The name localhost may stand for ::1 as well, and one server listens on one address. */
export const listenAddress = ({ host }: Pick<Settings, 'host'>): string => (host === 'localhost' ? '127.0.0.1' : host);

/** Where a program on this machine reaches HTTP, or HTTPS: on loopback, if it is served everywhere. */
export function httpUrl({ host, tlsCert }: Pick<Settings, 'host' | 'tlsCert'>, port: number): string {
  const reached = LOOPBACK[host] ?? host;
  return `${tlsCert === undefined ? 'http' : 'https'}://${isIPv6(reached) ? `[${reached}]` : reached}:${port}`;
}
