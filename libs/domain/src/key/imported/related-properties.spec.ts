import fc from 'fast-check';
import { RelatedRegions } from '../../../../../test/support/related-regions';
import { plusDays } from '../../dates';
import { KmsError } from '../../errors';
import type { KeyCommand } from '../commands';
import { evolveKey } from '../evolve';
import { generationOf, isSynchronized } from '../multi-region';
import type { DueStep } from '../related-keys';
import { initialKey, isLiving, isPendingDeletion, type Key, type LivingKey } from '../state';
import { asOf, cryptographicState, placesOf, releasedPlaces } from './copies';
import { sharedImports } from './related';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-south-1'] as const;
const [HOME, ...OTHERS] = REGIONS;
const T0 = '2026-01-01T00:00:00.000Z';
const MATERIALS = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(64));

type World = RelatedRegions & { planned: DueStep[]; copies: number };
type Act = (world: World) => void;

/** Asked as a caller asks; what is refused must be refused as callers are told. */
function ask(world: World, region: string, command: KeyCommand): void {
  try {
    world.ask(region, command);
  } catch (error) {
    expect(error).toBeInstanceOf(KmsError);
  }
}

const primaryOf = (world: World): string | undefined =>
  [...world.keys].find(([, key]) => isLiving(key) && key.family?.keyType === 'PRIMARY')?.[0];

/** The deletion that is due, then the expiry. */
function fire(world: World, region: string): void {
  const key = world.key(region);
  if (key.keyState === 'PendingDeletion') ask(world, region, { type: 'FireDeletion', deadline: key.deletionDate });
  if (!isLiving(key)) return;
  for (const { imported } of [...key.versions, ...(key.pendingRotation ? [key.pendingRotation] : [])]) {
    if (imported?.validTo) ask(world, region, { type: 'FireMaterialExpiry', deadline: imported.validTo });
  }
  const storedAs = (key.released ?? []).map((copy) => copy.storedAs);
  ask(world, region, { type: 'RecordReleasedErased', storedAs });
}

const region = fc.constantFrom(...REGIONS);
const material = fc.constantFrom(...MATERIALS);
const importing = fc
  .record({
    region,
    material,
    asked: fc.constantFrom(undefined, 'NEW_KEY_MATERIAL' as const, 'EXISTING_KEY_MATERIAL' as const),
    days: fc.option(fc.integer({ min: 1, max: 30 }), { freq: 2 }),
  })
  .map(
    ({ region: of, material: materialId, asked, days }): Act =>
      (world) => {
        const storedAs = `${materialId}-${++world.copies}`;
        const validTo = days === null ? undefined : plusDays(world.now, days);
        ask(world, of, { type: 'ImportKeyMaterial', materialId, storedAs, importType: asked, validTo });
      },
  );
/** What a careful owner does: everything that is missing anywhere, or waits anywhere, is imported there. */
const importingAll: Act = (world) => {
  for (const [of, key] of world.keys) {
    if (!isLiving(key)) continue;
    for (const { materialId, storedAs } of [...key.versions, ...(key.pendingRotation ? [key.pendingRotation] : [])]) {
      if (storedAs !== undefined) continue;
      ask(world, of, { type: 'ImportKeyMaterial', materialId, storedAs: `${materialId}-${++world.copies}` });
    }
  }
};
/** And then brings new material everywhere, and has it rotated to. */
const rotating = material.map(
  (materialId): Act =>
    (world) => {
      for (const renew of [false, true]) {
        const [primary, storedAs] = [primaryOf(world), `${materialId}-${++world.copies}`];
        const importType = 'NEW_KEY_MATERIAL' as const;
        if (primary && renew) ask(world, primary, { type: 'ImportKeyMaterial', materialId, storedAs, importType });
        settleSteps(world);
        importingAll(world);
        settleSteps(world);
      }
      ask(world, primaryOf(world) ?? HOME, { type: 'RotateKeyOnDemand' });
    },
);
const ofPrimary = (command: (to: string, world: World) => KeyCommand): fc.Arbitrary<Act> =>
  region.map((to) => (world) => ask(world, primaryOf(world) ?? to, command(to, world)));
const plain = (...commands: KeyCommand[]): fc.Arbitrary<Act> =>
  fc.tuple(region, fc.constantFrom(...commands)).map(
    ([of, command]) =>
      (world) =>
        ask(world, of, command),
  );
const weighted = (weight: number, arbitrary: fc.Arbitrary<Act>) => ({ weight, arbitrary });

const act: fc.Arbitrary<Act> = fc.oneof(
  weighted(6, importing),
  weighted(4, fc.constant(importingAll)),
  weighted(6, rotating),
  weighted(
    3,
    fc.tuple(region, fc.option(material)).map(
      ([of, materialId]): Act =>
        (world) => {
          ask(world, of, { type: 'DeleteImportedKeyMaterial', keyMaterialId: materialId ?? undefined });
        },
    ),
  ),
  weighted(
    4,
    ofPrimary((replicaRegion, world) => ({
      ...{ type: 'BeginReplication', replicaRegion, generation: generationOf(world.key(replicaRegion)) + 1 },
      ...{ description: '', policy: '{}', tags: [] },
    })),
  ),
  weighted(
    3,
    ofPrimary((primaryRegion) => ({ type: 'HandOverPrimary', primaryRegion })),
  ),
  weighted(
    5,
    ofPrimary(() => ({ type: 'RotateKeyOnDemand' })),
  ),
  weighted(
    4,
    plain(
      { type: 'EnableKey' },
      { type: 'CancelKeyDeletion' },
      { type: 'DisableKey' },
      { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 },
    ),
  ),
  weighted(
    5,
    fc.nat().map(
      (pick): Act =>
        (world) =>
          make(world, world.due(), pick),
    ),
  ),
  weighted(
    3,
    fc.nat().map(
      (pick): Act =>
        (world) =>
          make(world, world.planned, pick),
    ),
  ),
  weighted(4, fc.constant(settleSteps)),
  weighted(
    2,
    region.map(
      (of): Act =>
        (world) =>
          fire(world, of),
    ),
  ),
  weighted(
    3,
    fc.integer({ min: 0, max: 9 }).map(
      (days): Act =>
        (world) => {
          world.now = plusDays(world.now, days);
        },
    ),
  ),
);

function make(world: World, steps: readonly DueStep[], pick: number): void {
  const one = steps[pick % Math.max(1, steps.length)];
  if (one) ask(world, one.region, one.command);
}

function settleSteps(world: World): void {
  for (let before = -1; before !== world.log.length; ) {
    before = world.log.length;
    for (const { region: of, command } of world.due()) ask(world, of, command);
  }
}

/** Whether the key has a copy of all that it was ever used with. */
const isWhole = ({ versions }: LivingKey): boolean =>
  versions.length > 0 && versions.every(({ storedAs }) => storedAs !== undefined);

/** What is not as it must be. */
function faultsOf(world: World): string[] {
  const living = [...world.keys.values()].filter(isLiving);
  const ids = living.map(({ versions }) => versions.map(({ version, materialId }) => `${version} ${materialId}`));
  const longest = ids.reduce((most, one) => (one.length > most.length ? one : most), []);
  const both = living.flatMap((key) => [key, asOf(key, world.now)]);
  // A copy is one key's alone, and either used, or to be erased.
  const places = [...world.keys.values()].flatMap((key) =>
    isLiving(key) ? [...placesOf(key), ...releasedPlaces(key)] : key.keyState === 'Deleted' ? key.allMaterialIds : [],
  );
  const waitsToo = (key: LivingKey): boolean =>
    key.versions.some(({ materialId }) => materialId === key.pendingRotation?.materialId);
  return [
    ...(living.filter(({ family }) => family?.keyType === 'PRIMARY').length > 1 ? ['two primaries'] : []),
    ...(ids.every((known) => known.every((id, index) => id === longest[index])) ? [] : ['versions differ']),
    ...both.filter((key) => !isInState(key)).map((key) => `${key.keyState} with ${JSON.stringify(key.versions)}`),
    ...(both.some(waitsToo) ? ['what waits is a version'] : []),
    ...(new Set(places).size === places.length ? [] : ['a copy is in two places']),
  ];
}

/** Whether its material lets it be in this state. */
function isInState(key: LivingKey): boolean {
  const usable = cryptographicState(key);
  if (isPendingDeletion(key) || key.keyState === 'Creating') return true;
  return ['Enabled', 'Disabled', 'Updating'].includes(usable)
    ? isWhole(key)
    : usable === 'PendingImport' && !isWhole(key);
}

/** Rotations to what some of the keys had never imported since it came to it. */
function hastyRotations({ log }: World): string[] {
  const keys = new Map<string, Key>();
  /** By region: what waits there and has been imported. */
  const had = new Map<string, string>();
  const hasty: string[] = [];
  for (const { region: of, event, time } of log) {
    const before = keys.get(of) ?? initialKey;
    const after = evolveKey(before, event, time);
    keys.set(of, after);
    if (event.type === 'KeyRotated' && isLiving(before)) {
      const all = [of, ...before.family!.replicas.map((replica) => replica.region)];
      hasty.push(...all.filter((one) => had.get(one) !== event.materialId).map((one) => `${one} ${event.materialId}`));
    }
    if (waitsIn(after) !== waitsIn(before)) had.delete(of);
    if (event.type === 'KeyMaterialImported' && event.materialId === waitsIn(after)) had.set(of, event.materialId);
  }
  return hasty;
}

const waitsIn = (key: Key): string | undefined => (isLiving(key) ? key.pendingRotation?.materialId : undefined);

test('related keys with imported material, whatever is asked of them, in whatever order, with steps left undone and made late', () => {
  let rotations = 0;
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60, size: 'max' }), (acts) => {
      const world: World = Object.assign(new RelatedRegions(T0), { planned: [], copies: 0 });
      world.ask(HOME, {
        ...{ type: 'CreateKey', description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT' },
        ...{ origin: 'EXTERNAL', multiRegion: true, policy: '{}', tags: [] },
      });
      world.ask(HOME, { type: 'ImportKeyMaterial', materialId: MATERIALS[0]!, storedAs: `${MATERIALS[0]}-0` });
      for (const replicaRegion of OTHERS) {
        const own = { description: '', policy: '{}', tags: [] };
        world.ask(HOME, { type: 'BeginReplication', replicaRegion, generation: 1, ...own });
      }
      for (const one of acts) {
        world.planned = [...world.planned, ...world.due()].slice(-50);
        one(world);
        expect(faultsOf(world)).toEqual([]);
      }
      expect(hastyRotations(world)).toEqual([]);
      for (let before = -1; before !== world.log.length; ) {
        before = world.log.length;
        settleSteps(world);
        for (const of of REGIONS) fire(world, of);
      }
      expect(world.due()).toEqual([]);
      expect(faultsOf(world)).toEqual([]);
      const living = [...world.keys.values()].filter(isLiving);
      const primary = living.find(({ family }) => family?.keyType === 'PRIMARY');
      for (const key of living) {
        expect(['Creating', 'Updating']).not.toContain(key.keyState);
        expect(isSynchronized(key, primary!)).toBe(true);
        expect(sharedImports(key)).toEqual(sharedImports(primary!));
      }
      expect(world.replayed()).toEqual(world.keys);
      rotations += rotationsIn(world);
    }),
    { numRuns: 200 },
  );
  // Most runs should get far.
  expect(rotations).toBeGreaterThan(50);
});

const rotationsIn = ({ log }: World): number => log.filter(({ event }) => event.type === 'KeyRotated').length;
