import { EvolveError } from '../aggregate';
import { KmsError } from '../errors';
import { recordedIds } from '../named-ids';
import type { KeyDeciders, KeyEvolvers } from './families';
import { materialIdOf } from './material-id';
import { materialOwner } from './material-owner';
import { assertTagCount } from './properties';

const placeInStore = ({
  customKeyStoreId,
  xksKeyId,
}: {
  customKeyStoreId?: string | undefined;
  xksKeyId?: string | undefined;
}): { customKeyStoreId?: string; xksKeyId?: string } => ({
  ...(customKeyStoreId === undefined ? {} : { customKeyStoreId }),
  ...(xksKeyId === undefined ? {} : { xksKeyId }),
});

export const creationDeciders: KeyDeciders<'CreateKey'> = {
  CreateKey: (command, key, { keyArn }) => {
    if (key.keyState !== 'None') throw new KmsError('AlreadyExistsException', `${keyArn} already exists`);
    assertTagCount(command.tags, keyArn);
    const { type: _type, namedIds, origin = 'AWS_KMS', customKeyStoreId, xksKeyId, ...facts } = command;
    const owner = materialOwner(keyArn, { ...facts, origin });
    const material = origin === 'EXTERNAL' ? {} : { materialId: materialIdOf(owner, 1) };
    const inStore = placeInStore({ customKeyStoreId, xksKeyId });
    return [{ type: 'KeyCreated', v: 1, ...facts, ...recordedIds(namedIds), origin, ...inStore, ...material }];
  },
};

export const creationEvolvers: KeyEvolvers<'KeyCreated'> = {
  KeyCreated: (key, event, time) => {
    if (key.keyState !== 'None') throw new EvolveError('KeyCreated on a key that exists');
    const { materialId } = event;
    return {
      keyState: materialId === undefined ? 'PendingImport' : 'Enabled',
      createdAt: time,
      description: event.description,
      keyUsage: event.keyUsage,
      keySpec: event.keySpec,
      origin: event.origin,
      multiRegion: event.multiRegion,
      ...(event.multiRegion ? { family: { keyType: 'PRIMARY', term: 1, generation: 1, replicas: [] } } : {}),
      policy: event.policy,
      ...recordedIds(event.namedIds),
      tags: event.tags,
      versions: materialId === undefined ? [] : [{ version: 1, materialId, since: time, cause: 'CREATED' }],
      ...(event.publicKey === undefined ? {} : { publicKey: event.publicKey }),
      ...placeInStore(event),
      ...(event.manager === undefined ? {} : { manager: event.manager }),
    };
  },
};
