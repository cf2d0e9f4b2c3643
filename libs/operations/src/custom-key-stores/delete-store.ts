import type { DeleteCustomKeyStoreRequest } from '@aws-sdk/client-kms';
import { decideStore } from '#domain/custom-key-store/decide';
import { KmsError } from '#domain/errors';
import { isLiving } from '#domain/key/state';
import { authorizeAccount } from '../authorization';
import { control } from '../operation';
import { Required } from '../wire/fields';
import { CUSTOM_KEY_STORE_ID } from './fields';
import { findStore } from './store-lookup';

class DeleteCustomKeyStore implements DeleteCustomKeyStoreRequest {
  @Required(CUSTOM_KEY_STORE_ID) CustomKeyStoreId!: string;
}

/**
 * No key can come into it meanwhile: it must be disconnected, and what was checked while it was connected is not appended after
 * that. Its secret is erased by whichever crypto-worker hears of it.
 */
export const deleteCustomKeyStore = control<DeleteCustomKeyStore, object>({
  name: 'DeleteCustomKeyStore',
  request: DeleteCustomKeyStore,
  async run(request, call, ports) {
    authorizeAccount(call);
    const { ref, state } = findStore(request.CustomKeyStoreId, call, ports.projection);
    const command = { type: 'DeleteCustomKeyStore' } as const;
    decideStore(command, state, ref);
    for (const key of ports.projection.keysInStore(ref)) {
      if (!isLiving(key.state)) continue;
      throw new KmsError('CustomKeyStoreHasCMKsException', `Custom key store ${ref.id} contains KMS keys.`);
    }
    await ports.runCommand(ref, command, call);
    return {};
  },
});
