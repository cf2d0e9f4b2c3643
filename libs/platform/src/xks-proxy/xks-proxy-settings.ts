import { join, resolve } from 'node:path';
import type { TokenPlace } from '#hsm/pkcs11/token-calls';
import { isUriPath, isXksKeyId } from '#xks/paths';
import { isLoopback } from '../http-address';
import { isTokenLabel } from '../pkcs11-settings';
import { SettingsError } from '../settings';
import { type Environment, isLogLevel, LOG_LEVELS, settingsReader } from '../settings-reader';
import { XKS_PROXY_SETTINGS, type XksProxySetting } from './setting-names';

/** The token that external keys are in, and what says who may use them. */
export interface XksTokenSettings {
  token: TokenPlace & { pinFile: string; sessions: number };
  accessFile: string;
  healthKey: string;
}

export interface XksProxySettings extends XksTokenSettings {
  host: string;
  port: number;
  uriPath: string;
  /** Both or neither. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  tlsClientCa?: string | undefined;
  tlsClientName?: string | undefined;
  hsmTimeoutMs: number;
  fleetSize: number;
  logLevel: string;
  /** Names that begin as settings of the proxy do and are none. */
  unknown: readonly string[];
}

const any = (value: string): boolean => value.length > 0;

/** Where credentials are, which needs no token. Throws SettingsError. */
export function parseAccessFile(environment: Environment): string {
  const { KEYTRAIL_XKS_ACCESS_FILE: file, KEYTRAIL_DATA_DIR: dataDir } = environment;
  return resolve(file || join(dataDir || './data', 'xks', 'access.json'));
}

/** Everything that can be set of a proxy. Throws SettingsError naming every bad value at once. */
export function parseXksProxySettings(environment: Environment): XksProxySettings {
  const problems: string[] = [];
  const reader = settingsReader(environment, problems);
  const text = (name: XksProxySetting, ok: (value: string) => boolean, expected: string, fallback?: string) =>
    reader.text(name, ok, expected, fallback);
  const integer = (name: XksProxySetting, min: number, max: number, fallback: number) =>
    reader.integer(name, min, max, fallback);
  const needed = (name: XksProxySetting, ok: (value: string) => boolean, expected: string): string => {
    const value = text(name, ok, expected);
    if (value === undefined && !environment[name]) problems.push(`${name}: expected ${expected}`);
    return value ?? '';
  };
  const pem = (name: XksProxySetting) => text(name, any, 'the path of a PEM file');
  const settings: XksProxySettings = {
    host: text(
      'KEYTRAIL_XKS_HOST',
      (value) => /^[0-9a-zA-Z.:-]{1,253}$/.test(value),
      'an address or host name',
      '127.0.0.1',
    )!,
    port: integer('KEYTRAIL_XKS_PORT', 0, 65_535, 4600),
    uriPath: text('KEYTRAIL_XKS_URI_PATH', isUriPath, '[/<prefix>]/kms/xks/v1, at most 128 characters', '/kms/xks/v1')!,
    tlsCert: pem('KEYTRAIL_XKS_TLS_CERT'),
    tlsKey: pem('KEYTRAIL_XKS_TLS_KEY'),
    tlsClientCa: pem('KEYTRAIL_XKS_TLS_CLIENT_CA'),
    tlsClientName: text('KEYTRAIL_XKS_TLS_CLIENT_NAME', any, 'a common name'),
    token: {
      module: resolve(needed('KEYTRAIL_XKS_PKCS11_MODULE', any, "the path of the vendor's PKCS#11 module")),
      label: needed('KEYTRAIL_XKS_PKCS11_TOKEN', isTokenLabel, 'the label of a token, at most 32 bytes'),
      pinFile: resolve(needed('KEYTRAIL_XKS_PKCS11_PIN_FILE', any, 'the path of a file that holds the PIN')),
      sessions: integer('KEYTRAIL_XKS_PKCS11_SESSIONS', 1, 64, 4),
    },
    accessFile: parseAccessFile(environment),
    healthKey: text('KEYTRAIL_XKS_HEALTH_KEY', isXksKeyId, 'the label of a key', 'keytrail-xks-health')!,
    hsmTimeoutMs: integer('KEYTRAIL_XKS_HSM_TIMEOUT_MS', 10, 60_000, 200),
    fleetSize: integer('KEYTRAIL_XKS_FLEET_SIZE', 1, 1_000, 1),
    logLevel: reader.text('KEYTRAIL_LOG_LEVEL', isLogLevel, LOG_LEVELS.join(', '), 'info')!,
    unknown: Object.keys(environment).filter(
      (name) => name.startsWith('KEYTRAIL_XKS_') && !OTHERS.test(name) && !XKS_PROXY_SETTINGS.includes(name),
    ),
  };
  const plainAllowed = text(
    'KEYTRAIL_XKS_ALLOW_PLAIN_HTTP',
    (value) => value === 'true' || value === 'false',
    'true or false',
    'false',
  );
  if (problems.length === 0) problems.push(...contradictions(settings, plainAllowed === 'true'));
  if (problems.length > 0) throw new SettingsError(`bad settings:\n  ${problems.join('\n  ')}`);
  return settings;
}

/** Of Keytrail's own KMS as a client of such proxies. */
const OTHERS = /^KEYTRAIL_XKS_STORE_/;

function contradictions(settings: XksProxySettings, plainAllowed: boolean): string[] {
  const found: string[] = [];
  const { host, tlsCert, tlsKey, tlsClientCa, tlsClientName } = settings;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    found.push('KEYTRAIL_XKS_TLS_CERT and KEYTRAIL_XKS_TLS_KEY: expected both or neither');
  }
  if (tlsClientCa !== undefined && tlsCert === undefined) {
    found.push('KEYTRAIL_XKS_TLS_CLIENT_CA: expected only with KEYTRAIL_XKS_TLS_CERT and KEYTRAIL_XKS_TLS_KEY');
  }
  if (tlsClientName !== undefined && tlsClientCa === undefined) {
    found.push('KEYTRAIL_XKS_TLS_CLIENT_NAME: expected only with KEYTRAIL_XKS_TLS_CLIENT_CA');
  }
  if (!isLoopback(host) && tlsCert === undefined && !plainAllowed) {
    found.push(
      `KEYTRAIL_XKS_HOST=${JSON.stringify(host)}: anybody on the way could read what keys encrypt there. ` +
        'Set KEYTRAIL_XKS_TLS_CERT and KEYTRAIL_XKS_TLS_KEY, or KEYTRAIL_XKS_ALLOW_PLAIN_HTTP=true if something before it ends TLS',
    );
  }
  return found;
}
