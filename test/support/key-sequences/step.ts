import fc from 'fast-check';
import type { KeyStateName } from '#domain/key/state-table';
import { USAGE_FOR } from '../published-key-kinds';
import type { Asking } from './ask';
import { CRYPTOGRAPHIC_ASKS } from './cryptographic-asks';
import { IMPORT_ASKS } from './import-asks';
import { LIFE_CYCLE_ASKS } from './life-cycle-asks';
import { DAY_MS, type ModelKey } from './model-key';
import { PROPERTY_ASKS } from './property-asks';
import { refusalByKind, refusalBySpec, refusalByState, type Seen } from './refusals';
import { type Metadata, REGIONS, type World } from './world';

/** THE table of what is asked: every operation about a key. */
export const ASKS: Readonly<Record<string, Asking>> = {
  ...CRYPTOGRAPHIC_ASKS,
  ...IMPORT_ASKS,
  ...LIFE_CYCLE_ASKS,
  ...PROPERTY_ASKS,
};

export type Step =
  | { do: 'call'; operation: string; at: number; pick: number }
  | { do: 'pass'; days: number }
  | { do: 'fire' }
  | { do: 'leaveUndone'; what: 'replicate' | 'handOver'; steps: number };

/** More often what brings a key somewhere than what takes it away, else most keys would be gone soon. */
const MORE_OFTEN = [
  ...['EnableKey', 'EnableKey', 'ScheduleKeyDeletion', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'CancelKeyDeletion'],
  ...['RotateKeyOnDemand', 'EnableKeyRotation', 'EnableKeyRotation'],
  ...['ReplicateKey', 'ReplicateKey', 'UpdatePrimaryRegion', 'CreateAlias', 'UpdateAlias'],
];

export function stepsFor({ origin, multiRegion }: { origin: string; multiRegion: boolean }): fc.Arbitrary<Step[]> {
  const imports = origin === 'EXTERNAL' ? Array<string>(12).fill('ImportKeyMaterial') : [];
  const call = fc.record({
    do: fc.constant('call' as const),
    operation: fc.constantFrom(...Object.keys(ASKS), ...MORE_OFTEN, ...imports),
    at: multiRegion ? fc.nat(1) : fc.constant(0),
    pick: fc.nat(1_000),
  });
  const pass = fc.record({ do: fc.constant('pass' as const), days: fc.constantFrom(0.5, 1, 5, 10, 30, 100) });
  const undone = fc.record({
    do: fc.constant('leaveUndone' as const),
    what: fc.constantFrom('replicate' as const, 'handOver' as const),
    steps: fc.nat(2),
  });
  const step = fc.oneof(
    { weight: 40, arbitrary: call },
    { weight: 5, arbitrary: pass },
    { weight: 3, arbitrary: fc.constant<Step>({ do: 'fire' }) },
    ...(multiRegion ? [{ weight: 6, arbitrary: undone }] : []),
  );
  return fc.array(step, { minLength: 10, maxLength: 40, size: 'max' });
}

/** Which operations met a key in which state, and what came of it. */
export type Met = Map<string, Set<string>>;

export async function make(step: Step, world: World, met: Met): Promise<void> {
  switch (step.do) {
    case 'pass':
      return world.pass(step.days * DAY_MS);
    case 'fire':
      return world.fire();
    case 'leaveUndone':
      return world.leaveUndone(step.what, step.steps);
    case 'call':
      return call(step, world, met);
  }
}

async function call({ operation, at, pick }: Step & { do: 'call' }, world: World, met: Met): Promise<void> {
  // What such a change is to do while another one is under way is for the suites of multi-Region keys.
  if (world.isUnsettled && ['ReplicateKey', 'UpdatePrimaryRegion'].includes(operation)) await world.fire();
  const key = world.keys[at]!;
  // Of related keys that are being changed one may have become the primary meanwhile.
  if (world.isUnsettled) await look(world, 1 - at);
  const seen = await look(world, at);
  const { input, early, late, isOfOther, done } = await ASKS[operation]!({ world, at, key, pick });
  const missing = seen || isOfOther ? undefined : 'NotFoundException';
  const ofKey =
    seen && !isOfOther
      ? (refusalByKind(operation, world.kind, seen) ??
        refusalByState(operation, stateFor(operation, seen, key)) ??
        refusalBySpec(operation, world.kind))
      : undefined;
  const expected = missing ?? early ?? ofKey ?? late ?? 'OK';
  const { code, message, body } = await world.kms.call(operation, input, { region: REGIONS[at]! });
  expect({ operation, seen, code, message }).toEqual({ operation, seen, code: expected, message: expect.anything() });
  const cell = `${operation} ${seen?.state ?? (key.generation > 0 ? 'Deleted' : 'None')}`;
  met.set(cell, (met.get(cell) ?? new Set()).add(code));
  if (code === 'OK') done?.(body);
  await look(world, at);
}

/** A key that is Updating can be used, but not without its material. */
const stateFor = (operation: string, { state }: Seen, { misses }: ModelKey): KeyStateName =>
  state === 'Updating' && misses && operation in USAGE_FOR ? 'PendingImport' : state;

/** The key as a caller sees it, which is as it is to be; undefined where there is none. */
export async function look(world: World, at: number): Promise<Seen | undefined> {
  const key = world.keys[at]!;
  const { code, body } = await world.kms.call('DescribeKey', { KeyId: key.keyId }, { region: REGIONS[at]! });
  if (code !== 'OK') {
    expect({ code, exists: key.exists && !world.isUnsettled }).toEqual({ code: 'NotFoundException', exists: false });
    return undefined;
  }
  const metadata = body['KeyMetadata'] as Metadata;
  const { KeyState: state, MultiRegionConfiguration: configuration } = metadata;
  const role = configuration?.MultiRegionKeyType;
  if (world.isUnsettled) key.role = role;
  else {
    expect({ state, role }).toEqual({ state: key.state, role: key.role });
    expect(metadata).toMatchObject({
      Enabled: state === 'Enabled',
      ...(state === 'PendingDeletion' && { DeletionDate: key.deletionDate / 1000 }),
    });
  }
  return { state: state as KeyStateName, role };
}
