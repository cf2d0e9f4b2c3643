import { readFileSync } from 'node:fs';
import { AttestationVerifier } from '#crypto/attestation/attestation-verifier';
import { parseTrustedRoots } from '#crypto/attestation/trusted-roots';
import { type Settings, SettingsError } from './settings';

/** What verifies attestation documents, by the roots that the settings name. Throws SettingsError for a file without any. */
export function openAttestations({ nitroRoots }: Pick<Settings, 'nitroRoots'>): AttestationVerifier {
  if (nitroRoots === undefined) return new AttestationVerifier([]);
  try {
    return new AttestationVerifier(parseTrustedRoots(readFileSync(nitroRoots, 'utf8')));
  } catch (error) {
    throw new SettingsError(`KEYTRAIL_NITRO_ROOTS=${JSON.stringify(nitroRoots)}: ${(error as Error).message}`);
  }
}
