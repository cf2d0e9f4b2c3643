import { KmsError } from '../../errors';
import type { DecideContext, KeyCommand } from '../commands';
import type { KeyEvent } from '../events';
import type { KeyDeciders } from '../families';
import { isSymmetricEncryption } from '../key-kinds';
import { keyNotFound, livingKeyAt } from '../living';
import { currentVersion, isLiving, isReplica, type Key, type LivingKey } from '../state';
import { assertStateAllows, type KeyOperation } from '../state-table';
import type { ImportCommand } from './commands';
import { expiring, materialOf, overdue } from './copies';
import type { ImportType, KeyMaterialExpired } from './events';

/** Erased copies that a key remembers; should a backup bring back an older one, it is swept as what no event names. */
export const ERASED_REMEMBERED = 100;

/** Throws UnsupportedOperationException for a key that has no imported material. */
export function assertImported({ origin }: Pick<LivingKey, 'origin'>, keyArn: string): void {
  if (origin === 'EXTERNAL') return;
  throw new KmsError(
    'UnsupportedOperationException',
    `${keyArn} origin is ${origin} which is not valid for this operation.`,
  );
}

function importable(operation: KeyOperation, key: Key, { keyArn, now }: DecideContext): LivingKey {
  const living = livingKeyAt(key, now);
  if (!living) throw keyNotFound(keyArn);
  assertImported(living, keyArn);
  assertStateAllows(operation, living.keyState, keyArn);
  return living;
}

export const importDeciders: KeyDeciders<ImportCommand['type']> = {
  ImportKeyMaterial: (command, key, context) => {
    const living = importable('ImportKeyMaterial', key, context);
    const importType = importTypeOf(command, living, context.keyArn);
    assertExpected(command, importType, living, context.keyArn);
    const { materialId, storedAs, validTo, description, publicKey } = command;
    return [
      // Another material may have been over for a while, and its timer not have fired yet.
      ...(isLiving(key) ? overdue(key, context.now).map(expired) : []),
      {
        type: 'KeyMaterialImported',
        v: 1,
        importType,
        materialId,
        storedAs,
        ...(validTo === undefined ? {} : { validTo }),
        ...(description === undefined ? {} : { description }),
        ...(publicKey === undefined ? {} : { publicKey }),
      },
    ];
  },

  DeleteImportedKeyMaterial: ({ keyMaterialId }, key, context) => {
    const living = importable('DeleteImportedKeyMaterial', key, context);
    const materialId = deletedMaterial(living, keyMaterialId, context.keyArn);
    return materialId !== undefined && isThere(living, materialId)
      ? [{ type: 'ImportedKeyMaterialDeleted', v: 1, materialId }]
      : [];
  },

  FireMaterialExpiry: ({ deadline }, key, { now }): KeyEvent[] =>
    isLiving(key) && now >= deadline
      ? [...expiring(key)].filter(({ validTo }) => validTo === deadline).map(({ materialId }) => expired(materialId))
      : [],

  RecordReleasedErased: ({ storedAs }, key) => {
    const { released = [], erased: before = [] }: Partial<LivingKey> = isLiving(key) ? key : {};
    const erased = released.filter((copy) => storedAs.includes(copy.storedAs)).map((copy) => copy.storedAs);
    if (erased.length === 0) return [];
    const remembered = Math.max(ERASED_REMEMBERED, erased.length);
    const bound = before.length + erased.length > remembered ? { remembered } : {};
    return [{ type: 'ReleasedMaterialErased', v: 1, storedAs: erased, ...bound }];
  },
};

/** Whether there is anything to delete: a copy; of what waits for a rotation its primary's word that it does. */
const isThere = (key: LivingKey, materialId: string): boolean =>
  materialOf(key, materialId)?.storedAs !== undefined ||
  (key.pendingRotation?.materialId === materialId && !isReplica(key));

const expired = (materialId: string): KeyMaterialExpired => ({ type: 'KeyMaterialExpired', v: 1, materialId });

type Import = Extract<KeyCommand, { type: 'ImportKeyMaterial' }>;

/** Members that say which of several materials it is are for keys that can have several. */
function importTypeOf({ importType, keyMaterialId, description }: Import, key: LivingKey, keyArn: string): ImportType {
  if (!isSymmetricEncryption(key.keySpec)) {
    const given = { ImportType: importType, KeyMaterialId: keyMaterialId, KeyMaterialDescription: description };
    const [name] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
    if (name !== undefined) {
      throw new KmsError(
        'UnsupportedOperationException',
        `${name} is only supported for symmetric encryption keys, not for key spec ${key.keySpec}.`,
      );
    }
  }
  const given = importType ?? (isFirst(key) ? 'NEW_KEY_MATERIAL' : 'EXISTING_KEY_MATERIAL');
  if (given === 'NEW_KEY_MATERIAL' && keyMaterialId !== undefined) {
    throw new KmsError('ValidationException', 'KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.');
  }
  if (given === 'NEW_KEY_MATERIAL' && isReplica(key)) {
    throw new KmsError(
      'UnsupportedOperationException',
      `${keyArn} is a multi-Region replica key: new key material can only be imported into its primary key.`,
    );
  }
  return given;
}

const isFirst = ({ versions, pendingRotation }: LivingKey): boolean => versions.length === 0 && !pendingRotation;

/** Throws IncorrectKeyMaterialException for material other than what the import type lets it be. */
function assertExpected(
  { materialId, keyMaterialId }: Import,
  importType: ImportType,
  key: LivingKey,
  arn: string,
): void {
  const known = materialOf(key, materialId) !== undefined;
  if (importType === 'NEW_KEY_MATERIAL') {
    if (known) throw incorrect(`The key material is already associated with ${arn}.`);
    if (key.pendingRotation) {
      throw new KmsError('KMSInvalidStateException', `${arn} already has key material that is pending rotation.`);
    }
    return;
  }
  if (keyMaterialId !== undefined && keyMaterialId !== materialId) {
    throw incorrect(`The key material is not the one with the ID ${keyMaterialId}.`);
  }
  if (!known) throw incorrect(`The key material is not associated with ${arn}.`);
}

export const incorrect = (message: string): KmsError => new KmsError('IncorrectKeyMaterialException', message);

/** The material to be deleted, there or not: the current one where the request names none. */
export function deletedMaterial(key: LivingKey, asked: string | undefined, keyArn: string): string | undefined {
  if (asked === undefined) return key.versions.length === 0 ? undefined : currentVersion(key).materialId;
  if (!materialOf(key, asked)) {
    throw new KmsError('NotFoundException', `Key material '${asked}' is not associated with ${keyArn}`);
  }
  return asked;
}
