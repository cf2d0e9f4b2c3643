import { isIPv6 } from 'node:net';
import type { Settings } from './settings';

/** The port to serve HTTP on, 0 for any free one: a gateway's API, another's health; undefined for none. */
export function httpPort(parts: readonly string[], { port, healthPort }: Settings): number | undefined {
  if (parts.includes('gateway')) return port;
  return healthPort === 0 ? undefined : healthPort;
}

const LOOPBACK: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Where a program on this machine reaches what listens on `host`: loopback, for what listens everywhere. */
export function httpUrl(host: string, port: number): string {
  const reached = LOOPBACK[host] ?? host;
  return `http://${isIPv6(reached) ? `[${reached}]` : reached}:${port}`;
}
