import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Root, rootKeyInUse } from '#domain/root/root';
import type { HsmProvider, RootKeyRef } from '#hsm/hsm-provider';
import { Pkcs11HsmProvider } from '#hsm/pkcs11/pkcs11-provider';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import { readPin } from './pin-file';
import type { Pkcs11Settings } from './pkcs11-settings';
import type { Settings } from './settings';

/**
 * What the settings say that keys are rooted in, with the key that the log says is in use. `nothingStored`: no material that
 * another root key wrapped, so that a new one hides no loss. Throws RootKeyError, or HsmUnavailableError.
 */
export async function openRoot(settings: Settings, nothingStored: boolean, root: Root): Promise<HsmProvider> {
  const { pkcs11, rootKey, dataDir } = settings;
  const key = rootKeyInUse(root);
  // A root key that the log names is not made anew.
  const mayCreate = nothingStored && key === undefined;
  if (pkcs11) return openToken(pkcs11, mayCreate, key);
  const rootKeyFile = join(dataDir, 'root', 'root-key.json');
  return SoftwareHsmProvider.open({
    ...(rootKey === undefined ? { rootKeyFile } : { rootKeyBase64: rootKey }),
    mayCreate: existsSync(rootKeyFile) || mayCreate,
    key,
  });
}

function openToken(
  { pinFile, ...place }: Pkcs11Settings,
  mayCreate: boolean,
  key: RootKeyRef | undefined,
): Promise<Pkcs11HsmProvider> {
  return Pkcs11HsmProvider.open({ ...place, pin: readPin(pinFile), mayCreate, key });
}
