import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HsmProvider } from '#hsm/hsm-provider';
import { Pkcs11HsmProvider } from '#hsm/pkcs11/pkcs11-provider';
import { TokenClient } from '#hsm/pkcs11/token-client';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import { type SoftHsm, softHsm } from './softhsm';

/** What keys are rooted in, as tests of both kinds see it. */
export interface TestRoot {
  /** For a process that is rooted there, beside its data folder. */
  settings: Record<string, string>;
  /** Opens it as it is now, past the process. */
  open(dataDir: string): Promise<HsmProvider>;
  /** Epochs of the root keys that it holds now. */
  epochs(dataDir: string): Promise<number[]>;
  remove(): void;
}

const file = (dataDir: string): string => join(dataDir, 'root/root-key.json');

export const softwareRoot = (): TestRoot => ({
  settings: {},
  open: async (dataDir) => SoftwareHsmProvider.open({ rootKeyFile: file(dataDir), mayCreate: false }),
  epochs: async (dataDir) => rootKeysIn(dataDir).map(({ epoch }) => epoch),
  remove() {},
});

/** What the file of a software root holds. */
export function rootKeysIn(dataDir: string): { epoch: number; key: string }[] {
  const kept = JSON.parse(readFileSync(file(dataDir), 'utf8'));
  return kept.epochs ?? [kept];
}

export function pkcs11Root(module: string): TestRoot {
  const hsm: SoftHsm = softHsm(module);
  const pinFile = join(hsm.folder, 'pin');
  writeFileSync(pinFile, hsm.pin, { mode: 0o600 });
  return {
    settings: {
      ...hsm.environment,
      KEYTRAIL_ROOT: 'pkcs11',
      KEYTRAIL_PKCS11_MODULE: module,
      KEYTRAIL_PKCS11_TOKEN: hsm.label,
      KEYTRAIL_PKCS11_PIN_FILE: pinFile,
    },
    open: () => Pkcs11HsmProvider.open({ ...hsm, mayCreate: false }),
    async epochs() {
      const token = new TokenClient(hsm);
      try {
        const keys = await token.call('keys', { labelPrefix: 'keytrail-root-' });
        return keys.map(({ label }) => Number(label.slice('keytrail-root-'.length))).sort();
      } finally {
        await token.close();
      }
    },
    remove: () => hsm.remove(),
  };
}
