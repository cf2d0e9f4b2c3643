import type {
  DisableKeyRotationRequest,
  EnableKeyRotationRequest,
  GetKeyRotationStatusRequest,
  GetKeyRotationStatusResponse,
  ListKeyRotationsRequest,
  ListKeyRotationsResponse,
  RotateKeyOnDemandRequest,
  RotateKeyOnDemandResponse,
  RotationsListEntry,
} from '@aws-sdk/client-kms';
import { awaitsRelated } from '#domain/key/imported/related';
import type { ImportStatus } from '#domain/key/imported/status';
import { livingKeyAt } from '#domain/key/living';
import { assertRotatable, ROTATION_LIMITS } from '#domain/key/rotation';
import { currentVersion, isPendingDeletion, isReplica, type KeyVersion, type LivingKey } from '#domain/key/state';
import { assertStateAllows } from '#domain/key/state-table';
import { authorizeKey } from './authorization';
import { fixedContext } from './condition-context';
import { type FoundKey, findKey } from './key-lookup';
import { type Call, type ControlPorts, control } from './operation';
import { pageAsked, pageFields, pageOfList } from './pagination';
import { KEY_ID, LIMIT, MARKER, Optional, Required } from './wire/fields';
import { epochSeconds, type Wire } from './wire/wire';

class EnableKeyRotation implements EnableKeyRotationRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional({ kind: 'integer', min: 90, max: 2560 }) RotationPeriodInDays?: number;
}

export const enableKeyRotation = control<EnableKeyRotation, undefined>({
  name: 'EnableKeyRotation',
  request: EnableKeyRotation,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    const context = fixedContext({
      'kms:rotationperiodindays': request.RotationPeriodInDays ?? ROTATION_LIMITS.defaultPeriodInDays,
    });
    authorizeKey(call, ports.projection, found, { context });
    await ports.runCommand(
      found.ref,
      { type: 'EnableKeyRotation', rotationPeriodInDays: request.RotationPeriodInDays },
      call,
    );
    await passOn(found, call, ports);
    return undefined;
  },
});

/** To the replicas of a multi-Region key. */
const passOn = async ({ key, ref }: FoundKey, call: Call, ports: ControlPorts): Promise<void> => {
  if (key.multiRegion) await ports.settleRelated(ref, call);
};

class KeyIdOnly implements DisableKeyRotationRequest, GetKeyRotationStatusRequest, RotateKeyOnDemandRequest {
  @Required(KEY_ID) KeyId!: string;
}

export const disableKeyRotation = control<KeyIdOnly, undefined>({
  name: 'DisableKeyRotation',
  request: KeyIdOnly,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    await ports.runCommand(found.ref, { type: 'DisableKeyRotation' }, call);
    await passOn(found, call, ports);
    return undefined;
  },
});

export const getKeyRotationStatus = control<KeyIdOnly, Wire<GetKeyRotationStatusResponse>>({
  name: 'GetKeyRotationStatus',
  request: KeyIdOnly,
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    const { key, arn } = found;
    assertStateAllows('GetKeyRotationStatus', key.keyState, arn);
    // While a key is pending deletion its rotation counts as off; cancelling brings the former status back.
    if (!key.rotation || isPendingDeletion(key)) return { KeyId: arn, KeyRotationEnabled: false };
    return {
      KeyId: arn,
      KeyRotationEnabled: true,
      RotationPeriodInDays: key.rotation.periodInDays,
      NextRotationDate: epochSeconds(key.rotation.nextRotationDate),
    };
  },
});

export const rotateKeyOnDemand = control<KeyIdOnly, Wire<RotateKeyOnDemandResponse>>({
  name: 'RotateKeyOnDemand',
  request: KeyIdOnly,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    await ports.runCommand(found.ref, { type: 'RotateKeyOnDemand' }, call);
    await passOn(found, call, ports);
    return { KeyId: found.arn };
  },
});

const INCLUDE_KEY_MATERIAL = ['ALL_KEY_MATERIAL', 'ROTATIONS_ONLY'] as const;

class ListKeyRotations implements ListKeyRotationsRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional({ kind: 'enum', values: INCLUDE_KEY_MATERIAL }) IncludeKeyMaterial?: (typeof INCLUDE_KEY_MATERIAL)[number];
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
}

const PAGE_SIZES = { byDefault: 100, atMost: 1000 };

export const listKeyRotations = control<ListKeyRotations, Wire<ListKeyRotationsResponse>>({
  name: 'ListKeyRotations',
  request: ListKeyRotations,
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    assertRotatable(found.key.keySpec);
    assertStateAllows('ListKeyRotations', found.key.keyState, found.arn);
    const withFirst = request.IncludeKeyMaterial === 'ALL_KEY_MATERIAL';
    const { versions } = found.key;
    const entries = [
      ...(withFirst ? versions : versions.slice(1)).map((version) => rotationEntry(found, version)),
      ...(withFirst ? waitingEntries(found, call, ports) : []),
    ];
    const asked = pageAsked(request, call, PAGE_SIZES, found.arn, withFirst ? 'with the first' : undefined);
    const page = pageOfList(entries, asked);
    return { Rotations: page.items, ...pageFields(page) };
  },
});

/** AWS names the key by its ARN here, not by its id. */
const rotationEntry = ({ arn, key }: FoundKey, version: KeyVersion): Wire<RotationsListEntry> => ({
  KeyId: arn,
  KeyMaterialId: version.materialId,
  KeyMaterialState: version === currentVersion(key) ? 'CURRENT' : 'NON_CURRENT',
  ...importFields(version.imported),
  ...(version.cause === 'CREATED' ? {} : { RotationDate: epochSeconds(version.since), RotationType: version.cause }),
});

function waitingEntries(found: FoundKey, call: Call, ports: ControlPorts): Wire<RotationsListEntry>[] {
  const { arn, key } = found;
  if (!key.pendingRotation) return [];
  const { materialId, imported } = key.pendingRotation;
  const primary = isReplica(key) ? primaryOf(found, call, ports) : key;
  // Between two primaries it waits for the next one.
  const isReady = primary?.pendingRotation?.materialId === materialId && !awaitsRelated(primary);
  return [
    {
      KeyId: arn,
      KeyMaterialId: materialId,
      KeyMaterialState: isReady ? 'PENDING_ROTATION' : 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION',
      ...importFields(imported),
    },
  ];
}

function primaryOf({ ref }: FoundKey, { now }: Call, { projection }: ControlPorts): LivingKey | undefined {
  for (const { state } of projection.relatedKeys(ref)) {
    const living = livingKeyAt(state, now);
    if (living?.family?.keyType === 'PRIMARY') return living;
  }
  return undefined;
}

function importFields(imported: ImportStatus | undefined): Partial<Wire<RotationsListEntry>> {
  if (!imported) return {};
  const { importState, validTo, description } = imported;
  const expires = validTo === undefined ? 'KEY_MATERIAL_DOES_NOT_EXPIRE' : 'KEY_MATERIAL_EXPIRES';
  return {
    ...(description === undefined ? {} : { KeyMaterialDescription: description }),
    ImportState: importState,
    ...(importState === 'IMPORTED' ? { ExpirationModel: expires } : {}),
    ...(validTo === undefined ? {} : { ValidTo: epochSeconds(validTo) }),
  };
}
