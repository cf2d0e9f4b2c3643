import type { ImportKeyMaterialRequest, ImportKeyMaterialResponse } from '@aws-sdk/client-kms';
import { invalidCiphertext } from '#crypto/ciphertext-blob';
import type { OpenedImportToken } from '#crypto/import-token';
import { isWrappedLength, unwrapMaterial } from '#crypto/import-wrapping';
import { type CheckedMaterial, checkedMaterial, isImportable } from '#crypto/imported-material';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { decideKey } from '#domain/key/decide';
import { assertImported, incorrect } from '#domain/key/imported/decide';
import { importOwner } from '#domain/key/material-owner';
import { assertStateAllows } from '#domain/key/state-table';
import { authorizeKey } from '../authorization';
import { fixedContext } from '../condition-context';
import { type FoundKey, findKey } from '../key-lookup';
import { type Call, type DataPorts, type WorkerCommand, waitingData } from '../operation';
import { KEY_ID, Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { KEY_MATERIAL_ID } from './fields';

const EXPIRATION_MODELS = ['KEY_MATERIAL_EXPIRES', 'KEY_MATERIAL_DOES_NOT_EXPIRE'] as const;
const IMPORT_TYPES = ['NEW_KEY_MATERIAL', 'EXISTING_KEY_MATERIAL'] as const;
const BLOB = { kind: 'blob', min: 1, max: 6144 } as const;
const DESCRIPTION = { kind: 'string', min: 0, max: 256, pattern: /^[a-zA-Z0-9:/_\s.-]+$/ } as const;
const LONGEST_VALID_MS = 365 * 86_400_000;

class ImportKeyMaterial implements Omit<ImportKeyMaterialRequest, 'ValidTo'> {
  @Required(KEY_ID) KeyId!: string;
  @Required(BLOB) ImportToken!: Uint8Array;
  @Required(BLOB) EncryptedKeyMaterial!: Uint8Array;
  @Optional({ kind: 'timestamp' }) ValidTo?: number;
  @Optional({ kind: 'enum', values: EXPIRATION_MODELS }) ExpirationModel?: (typeof EXPIRATION_MODELS)[number];
  @Optional({ kind: 'enum', values: IMPORT_TYPES }) ImportType?: (typeof IMPORT_TYPES)[number];
  @Optional(DESCRIPTION) KeyMaterialDescription?: string;
  @Optional(KEY_MATERIAL_ID) KeyMaterialId?: string;
}

const invalid = (message: string): KmsError => new KmsError('ValidationException', message);

/** When the material is to expire, if ever. */
function expiryOf({ ExpirationModel, ValidTo }: ImportKeyMaterial, call: Call): string | undefined {
  if (ExpirationModel === 'KEY_MATERIAL_DOES_NOT_EXPIRE') {
    if (ValidTo === undefined) return undefined;
    throw invalid(
      'The parameter ValidTo cannot be specified for a key with an expiration model of KEY_MATERIAL_DOES_NOT_EXPIRE',
    );
  }
  if (ValidTo === undefined) {
    throw invalid('A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES');
  }
  const now = Date.parse(call.now);
  const validTo = ValidTo * 1000;
  // Written so that what is no number at all is refused.
  if (!(validTo > now)) throw invalid('ValidTo must be in the future');
  if (!(validTo <= now + LONGEST_VALID_MS)) throw invalid('ValidTo must be within 365 days');
  return isoDate(Math.floor(validTo));
}

/** Throws InvalidImportTokenException and ExpiredImportTokenException. */
function openedToken(token: Uint8Array, { arn }: FoundKey, call: Call, { imports }: DataPorts): OpenedImportToken {
  const opened = imports.openToken(token);
  if (!opened) throw new KmsError('InvalidImportTokenException', 'The import token is invalid.');
  if (opened.keyArn === arn && call.now < opened.validTo) return opened;
  opened.privateKey.fill(0);
  throw opened.keyArn === arn
    ? new KmsError('ExpiredImportTokenException', `The import token expired at ${opened.validTo}.`)
    : new KmsError('InvalidImportTokenException', 'The import token is associated with a different KMS key.');
}

/** What was brought, as material of the key; to be zeroised. */
async function unwrapped(
  encrypted: Uint8Array,
  token: OpenedImportToken,
  { key, arn }: FoundKey,
): Promise<CheckedMaterial> {
  const { wrappingAlgorithm, wrappingKeySpec, privateKey } = token;
  if (!isWrappedLength(wrappingAlgorithm, wrappingKeySpec, encrypted.length))
    throw invalid('Invalid encrypted key size.');
  const opened = await unwrapMaterial(wrappingAlgorithm, wrappingKeySpec, privateKey, encrypted);
  if (!opened) throw invalidCiphertext();
  const checked = isImportable(key.keySpec) ? await checkedMaterial(key.keySpec, opened) : undefined;
  if (checked?.material !== opened) opened.fill(0);
  if (!checked) throw incorrect(`The key material is not valid for ${arn}, whose key spec is ${key.keySpec}.`);
  return checked;
}

/** The copy is stored first: a crash before the append leaves one that no event names, which the sweep erases. */
export const importKeyMaterial = waitingData<ImportKeyMaterial, Wire<ImportKeyMaterialResponse>>({
  name: 'ImportKeyMaterial',
  request: ImportKeyMaterial,
  quotaClass: 'ImportKeyMaterial',
  recordedDefaults: { ExpirationModel: 'KEY_MATERIAL_EXPIRES' },
  async runAsync(request, call, ports) {
    const validTo = expiryOf(request, call);
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    const context = fixedContext({
      'kms:expirationmodel': request.ExpirationModel ?? 'KEY_MATERIAL_EXPIRES',
      'kms:validto': validTo,
    });
    authorizeKey(call, ports.projection, found, { context });
    assertImported(found.key, found.arn);
    assertStateAllows('ImportKeyMaterial', found.key.keyState, found.arn);
    const token = openedToken(request.ImportToken, found, call, ports);
    try {
      const checked = await unwrapped(request.EncryptedKeyMaterial, token, found);
      try {
        const materialId = await ports.imports.materialId(importOwner(found.arn, found.key), checked);
        await append(commandOf(request, materialId, validTo, checked), checked, found, call, ports);
        return { KeyId: found.arn, KeyMaterialId: materialId };
      } finally {
        checked.material.fill(0);
      }
    } finally {
      token.privateKey.fill(0);
    }
  },
});

type Unstored = Omit<WorkerCommand<'key'>, 'storedAs'>;

const commandOf = (
  request: ImportKeyMaterial,
  materialId: string,
  validTo: string | undefined,
  { publicKey }: CheckedMaterial,
): Unstored => ({
  type: 'ImportKeyMaterial',
  materialId,
  importType: request.ImportType,
  keyMaterialId: request.KeyMaterialId,
  description: request.KeyMaterialDescription,
  validTo,
  publicKey: publicKey?.toString('base64'),
});

async function append(
  command: Unstored,
  { material }: CheckedMaterial,
  { ref, arn, key }: FoundKey,
  call: Call,
  { projection, imports }: DataPorts,
): Promise<void> {
  // Decided again where it is appended; here it spares a copy that the key cannot have.
  const state = projection.folded(ref)?.state ?? key;
  decideKey({ ...command, storedAs: command.materialId }, state, { keyArn: arn, now: call.now });
  const storedAs = await imports.store(arn, command.materialId, key.keySpec, material);
  try {
    await imports.runCommand(ref, { ...command, storedAs }, call);
  } catch (failure) {
    // A refusal, after which nothing has been appended; what was lost on the way may have been.
    const refused = failure instanceof KmsError && (!failure.retryable || failure.code === 'ConcurrentModification');
    // Where the store cannot be reached it stays a refusal, and the sweep erases what no event names.
    if (refused) await imports.erase(storedAs).catch(() => {});
    throw failure;
  }
}
