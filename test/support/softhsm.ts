import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenToken } from '#hsm/pkcs11/token-calls';

const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];

/** Undefined where SoftHSM2, or what loads it, is not on this machine; says so, loudly. */
export function softHsmModule(): string | undefined {
  const path = MODULES.find((each) => existsSync(each));
  const usable = path !== undefined && spawnSync('softhsm2-util', ['--version']).status === 0 && hasBinding();
  if (!usable) console.warn('SKIPPED: tests with a PKCS#11 token, since SoftHSM2 (or pkcs11js) is not on this machine');
  return usable ? path : undefined;
}

function hasBinding(): boolean {
  try {
    require.resolve('pkcs11js');
    return true;
  } catch {
    return false;
  }
}

export interface SoftHsm extends OpenToken {
  folder: string;
  remove(): void;
}

/** A token of its own folder, as one HSM is. */
export function softHsm(
  module: string,
  {
    label = 'keytrail',
    pin = '1234-user',
    sessions = 4,
    folder = mkdtempSync(join(tmpdir(), 'keytrail-softhsm-')),
  } = {},
): SoftHsm {
  const conf = join(folder, 'softhsm2.conf');
  mkdirSync(join(folder, 'tokens'));
  writeFileSync(
    conf,
    `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const environment = { SOFTHSM2_CONF: conf };
  const made = spawnSync(
    'softhsm2-util',
    ['--init-token', '--free', '--label', label, '--so-pin', '1234-officer', '--pin', pin],
    { env: { ...process.env, ...environment }, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`softhsm2-util: ${made.stderr}`);
  return {
    ...{ module, label, pin, sessions, environment, folder },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
