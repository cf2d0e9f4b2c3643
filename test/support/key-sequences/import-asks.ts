import { wrap } from '../wrapping';
import { type Asking, named, type Place } from './ask';
import { DAY_MS, type ImportedMaterial, lose, type ModelKey } from './model-key';
import { pooledMaterial, pooledPair } from './pooled-pairs';

const WrappingKeySpec = 'RSA_2048';
const HOUR_MS = 3_600_000;

/** What wraps material of any length has an AES key in between. */
const wrappingFor = (keySpec: string) =>
  /^RSA_|P521$/.test(keySpec) ? ('RSA_AES_KEY_WRAP_SHA_256' as const) : ('RSAES_OAEP_SHA_256' as const);

const getParameters: Asking = (place) => {
  const { world } = place;
  return {
    input: { ...named(place), WrappingAlgorithm: wrappingFor(world.kind.keySpec), WrappingKeySpec },
    done: ({ ImportToken, PublicKey, ParametersValidTo }) => {
      const publicKey = Buffer.from(String(PublicKey), 'base64');
      const validTo = Number(ParametersValidTo) * 1000;
      world.parameters[place.at] = { token: String(ImportToken), publicKey, validTo };
      expect(validTo).toBe(world.kms.now + 24 * HOUR_MS);
    },
  };
};

/** Those that were given, however old they are, or new ones without an RSA key of their own. */
async function parametersFor({
  world,
  at,
  key,
  pick,
}: Place): Promise<{ token: string; publicKey: Buffer; validTo: number }> {
  const given = world.parameters[at];
  if (given && pick % 2 === 0) return given;
  const { privateKey, publicKey } = await pooledPair(WrappingKeySpec, 1);
  const validTo = world.kms.now + 24 * HOUR_MS;
  const wrappingAlgorithm = wrappingFor(world.kind.keySpec);
  const claims = { keyArn: key.arn, wrappingAlgorithm, wrappingKeySpec: WrappingKeySpec } as const;
  const token = world.kms.imports.newToken({ ...claims, validTo: new Date(validTo).toISOString() }, privateKey);
  return { token: token.toString('base64'), publicKey, validTo };
}

type ImportType = 'NEW_KEY_MATERIAL' | 'EXISTING_KEY_MATERIAL';
const IMPORT_TYPES: (ImportType | undefined)[] = [undefined, 'NEW_KEY_MATERIAL', 'EXISTING_KEY_MATERIAL'];

/** How the key takes material, by the developer guide: new, or exactly one of those that it has had. */
function imports(
  key: ModelKey,
  index: number,
  type: ImportType | undefined,
): { refusal?: string; take(m: ImportedMaterial): void } {
  const { materials, waiting } = key;
  const isNew =
    (type ?? (materials.length === 0 ? 'NEW_KEY_MATERIAL' : 'EXISTING_KEY_MATERIAL')) === 'NEW_KEY_MATERIAL';
  const known = materials.findIndex((material) => material.index === index);
  const isKnown = known >= 0 || waiting?.index === index;
  const take = (material: ImportedMaterial): void => {
    if (known >= 0) materials[known] = material;
    else if (materials.length === 0) materials.push(material);
    else key.waiting = material;
  };
  if (isNew && key.role === 'REPLICA') return { refusal: 'UnsupportedOperationException', take };
  if (isNew === isKnown) return { refusal: 'IncorrectKeyMaterialException', take };
  if (isNew && waiting) return { refusal: 'KMSInvalidStateException', take };
  return { take };
}

const importMaterial: Asking = async (place) => {
  const { world, key, pick } = place;
  const { kind, kms } = world;
  const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' };
  if (kind.origin !== 'EXTERNAL') {
    return { input: { ...named(place), ImportToken: 'AAAA', EncryptedKeyMaterial: 'AAAA', ...forEver } };
  }
  const isSymmetric = kind.keySpec === 'SYMMETRIC_DEFAULT';
  const index = isSymmetric ? pick % 4 : kind.keySpec.startsWith('RSA_') ? 0 : pick % 5 === 4 ? 1 : 0;
  const type = isSymmetric ? IMPORT_TYPES[(pick >> 3) % 3] : undefined;
  const days = (pick >> 5) % 3 === 0 ? 1 + (pick % 40) : undefined;
  const { token, publicKey, validTo } = await parametersFor(place);
  const wrapped = wrap(wrappingFor(kind.keySpec), publicKey, await pooledMaterial(kind.keySpec, index));
  const { refusal, take } = imports(key, index, type);
  return {
    input: {
      ...{ ...named(place), ImportToken: token, EncryptedKeyMaterial: wrapped.toString('base64') },
      ...(days === undefined ? forEver : { ValidTo: kms.now / 1000 + days * 86_400 }),
      ...(type && { ImportType: type }),
    },
    late: validTo <= kms.now ? 'ExpiredImportTokenException' : refusal,
    done: () => {
      const until = days === undefined ? undefined : kms.now + days * DAY_MS;
      take({ index, isThere: true, wasThere: true, validTo: until });
      key.settleState();
      world.passOn();
    },
  };
};

const deleteMaterial: Asking = (place) => {
  const { key } = place;
  return {
    input: named(place),
    done: () => {
      const current = key.materials.at(-1);
      if (current) lose(current);
      key.settleState();
    },
  };
};

export const IMPORT_ASKS: Readonly<Record<string, Asking>> = {
  GetParametersForImport: getParameters,
  ImportKeyMaterial: importMaterial,
  DeleteImportedKeyMaterial: deleteMaterial,
};
