import { createPrivateKey, generateKeyPair, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { clusterCsr } from '#crypto/cluster-certificate';

const MODULUS_BITS = 2048;

/**
 * The certificate signing request of a cluster, made once: its key is the first that is in the cluster's folder, whoever made it.
 * Nothing here is proved with the key, as PKCS#11 reaches the members without TLS; the owner's signature says whose cluster it is.
 */
export async function csrOf(folder: string, clusterId: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const place = join(folder, 'identity-key.pem');
  const known = await readFile(place, 'utf8').catch(() => undefined);
  return clusterCsr(clusterId, createPrivateKey(known ?? (await newKey(folder, place))));
}

async function newKey(folder: string, place: string): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: MODULUS_BITS });
  const written = join(folder, `.identity-${randomBytes(8).toString('hex')}`);
  await writeFile(written, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  try {
    await link(written, place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(written, { force: true });
  }
  return readFile(place, 'utf8');
}
