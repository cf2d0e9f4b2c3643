import { AGGREGATE_TYPES } from '#domain/aggregates';
import type { MemoryEventStore } from '#event-store/memory-event-store';
import { Projection } from '#views/projection';
import type { ModelKey } from './model-key';
import { REGIONS, type World } from './world';

type Listed = Record<string, string>[];

/** What the operations that read tell of each key, which is what was made of it. */
export async function expectShown(world: World): Promise<void> {
  for (const [at, key] of world.keys.entries()) if (key.exists) await expectKeyShown(world, at, key);
}

async function expectKeyShown(world: World, at: number, key: ModelKey): Promise<void> {
  const { keySpec, keyUsage, origin, multiRegion, managed } = world.kind;
  const { keyId: KeyId } = key;
  const read = async (operation: string, more = {}) => {
    const { code, body } = await world.kms.call(operation, { KeyId, ...more }, { region: REGIONS[at]! });
    expect([operation, code]).toEqual([operation, 'OK']);
    return body;
  };
  expect((await read('DescribeKey'))['KeyMetadata']).toMatchObject({
    ...{ KeyId, Arn: key.arn, Description: key.description, KeyState: key.state, KeySpec: keySpec, KeyUsage: keyUsage },
    ...{ Origin: origin, MultiRegion: multiRegion, KeyManager: managed ? 'AWS' : 'CUSTOMER' },
  });
  const tags = (await read('ListResourceTags'))['Tags'] as Listed;
  expect(new Map(tags.map(({ TagKey, TagValue }) => [TagKey, TagValue]))).toEqual(key.tags);
  const grants = (await read('ListGrants'))['Grants'] as Listed;
  expect(new Set(grants.map(({ GrantId }) => GrantId))).toEqual(key.grants);
  const aliases = (await read('ListAliases'))['Aliases'] as Listed;
  const own = [...world.aliases[at]!].filter(([, of]) => of === 'it').map(([name]) => name);
  expect(aliases.map(({ AliasName }) => AliasName).sort()).toEqual(own.sort());
  if (!managed) expect((await read('GetKeyPolicy'))['Policy']).toBe(key.policy);
  await expectRotation(world, key, read);
}

async function expectRotation(
  world: World,
  key: ModelKey,
  read: (operation: string, more?: object) => Promise<Record<string, unknown>>,
): Promise<void> {
  if (world.kind.keySpec !== 'SYMMETRIC_DEFAULT') return;
  const isOff = !key.rotation || key.state === 'PendingDeletion' || key.state === 'PendingReplicaDeletion';
  if (key.role !== 'REPLICA') {
    const status = await read('GetKeyRotationStatus');
    expect(status).toEqual({
      ...{ KeyId: key.arn, KeyRotationEnabled: !isOff },
      ...(!isOff && {
        RotationPeriodInDays: key.rotation!.periodInDays,
        NextRotationDate: key.rotation!.next / 1000,
      }),
    });
  }
  const all = (await read('ListKeyRotations', { IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }))['Rotations'] as Listed;
  expect(all.filter(({ RotationDate }) => RotationDate !== undefined)).toHaveLength(world.rotations);
  if (world.kind.origin !== 'EXTERNAL') return;
  const imported = [...key.materials, ...(key.waiting ? [key.waiting] : [])];
  expect(all.map(({ ImportState, ValidTo }) => [ImportState, ValidTo])).toEqual(
    imported.map(({ isThere, validTo }) => [
      isThere ? 'IMPORTED' : 'PENDING_IMPORT',
      isThere && validTo !== undefined ? validTo / 1000 : undefined,
    ]),
  );
}

const foldOf = (projection: Projection) =>
  Object.fromEntries(AGGREGATE_TYPES.map((type) => [type, [...projection.all(type)]]));

/**
 * The log, read again from its start, comes to the same states and the same hashes; and so it does where what it had come to
 * half way was written down and read again.
 */
export async function expectReplayed({ kms }: World, store: MemoryEventStore): Promise<void> {
  const again = new Projection();
  let restored: Projection | undefined;
  const half = Math.floor((await store.lastPosition()) / 2);
  for await (const entry of store.read(1)) {
    again.apply(entry);
    restored?.apply(entry);
    if (entry.seq !== half) continue;
    restored = new Projection();
    const written = JSON.stringify(AGGREGATE_TYPES.flatMap((type) => [...again.all(type)]));
    restored.restore(JSON.parse(written) as Parameters<Projection['restore']>[0], half);
  }
  const live = foldOf(kms.projection);
  expect(foldOf(again)).toStrictEqual(live);
  if (restored) expect(byHash(foldOf(restored))).toEqual(byHash(live));
  expect(again.position).toBe(kms.projection.position);
}

/** Snapshots hold them in an order of their own. */
const byHash = (fold: ReturnType<typeof foldOf>) =>
  new Map(Object.values(fold).flatMap((all) => all.map((folded) => [folded.hash, folded])));
