import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Where the HSMs of clusters are. */
export interface ClusterSettings {
  /** One folder for all crypto-workers. */
  folder: string;
  /** Path of SoftHSM's PKCS#11 module, whether or not it is there. */
  module: string;
}

type ReadText = (name: string, ok: (value: string) => boolean, expected: string) => string | undefined;

/** Where Debian, and others, put it. */
const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/libsofthsm2.so',
];

const any = (value: string): boolean => value.length > 0;

export function parseClusters(text: ReadText, dataDir: string): ClusterSettings {
  const folder = text('KEYTRAIL_CLOUDHSM_DIR', any, 'a folder') ?? join(dataDir, 'cloudhsm');
  const module = text('KEYTRAIL_CLOUDHSM_MODULE', any, "the path of SoftHSM's PKCS#11 module");
  return {
    folder: resolve(folder),
    module: module === undefined ? (MODULES.find((each) => existsSync(each)) ?? MODULES[0]!) : resolve(module),
  };
}

/** Why no HSM can be made on this machine, as a sentence; undefined where one can. */
export const obstacleOf = ({ module }: ClusterSettings): string | undefined =>
  existsSync(module)
    ? undefined
    : `No HSM can be made on this machine: ${module} is missing. Install SoftHSM2 (apt install softhsm2), or set KEYTRAIL_CLOUDHSM_MODULE.`;
