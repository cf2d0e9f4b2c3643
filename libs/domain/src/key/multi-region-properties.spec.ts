import fc from 'fast-check';
import { keyArn } from '../arn';
import { plusDays } from '../dates';
import { KmsError } from '../errors';
import type { KeyCommand } from './commands';
import { decideKey } from './decide';
import type { KeyEvent } from './events';
import { evolveKey } from './evolve';
import { generationOf, isSynchronized } from './multi-region';
import { type DueStep, dueSteps, type RelatedKey } from './related-keys';
import { initialKey, isLiving, type Key, type LivingKey } from './state';

const REGIONS = ['us-east-1', 'eu-west-1', 'ap-south-1'] as const;
const T0 = '2026-01-01T00:00:00.000Z';

type Plain = 'rotate' | 'schedule' | 'cancel' | 'enable' | 'disable' | 'enableRotation' | 'disableRotation';
type Asked =
  /** Of the primary, where there is one; of any key now and then. */
  | { ask: 'replicate' | 'handOver'; at: number; to: number; astray: boolean }
  | { ask: Plain; at: number }
  /** A due step. */
  | { ask: 'step'; pick: number }
  /** One that somebody worked out long ago and makes only now: of which kind, and which of them. */
  | { ask: 'lateStep'; kind: number; pick: number }
  | { ask: 'allSteps' }
  /** A timer, tried whether it is due or not. */
  | { ask: 'timer'; at: number }
  | { ask: 'pass'; days: number }
  /** From the schedule to the end of the waiting period. */
  | { ask: 'delete'; at: number };

const at = fc.nat({ max: REGIONS.length - 1 });
/** More often what brings a key back than what takes it away: most runs should get far. */
const PLAIN: Plain[] = [
  ...(['rotate', 'enableRotation', 'disableRotation', 'disable', 'schedule'] as const),
  ...(['cancel', 'cancel', 'cancel', 'enable', 'enable', 'enable', 'enable'] as const),
];
const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const asked: fc.Arbitrary<Asked> = fc.oneof(
  weighted(
    6,
    fc.record({
      ask: fc.constantFrom('replicate' as const, 'handOver'),
      ...{ at, to: at, astray: fc.nat({ max: 9 }).map((n) => n === 0) },
    }),
  ),
  weighted(4, fc.record({ ask: fc.constantFrom(...PLAIN), at })),
  weighted(6, fc.record({ ask: fc.constant('step' as const), pick: fc.nat() })),
  weighted(4, fc.record({ ask: fc.constant('lateStep' as const), kind: fc.nat(), pick: fc.nat() })),
  weighted(3, fc.record({ ask: fc.constant('allSteps' as const) })),
  weighted(2, fc.record({ ask: fc.constant('timer' as const), at })),
  weighted(2, fc.record({ ask: fc.constant('pass' as const), days: fc.integer({ min: 0, max: 100 }) })),
  weighted(1, fc.record({ ask: fc.constant('delete' as const), at })),
);

class World {
  now = T0;
  readonly keys = new Map<string, Key>();
  readonly log: { region: string; event: KeyEvent; time: string }[] = [];
  private readonly planned = new Map<string, DueStep[]>();

  key(region: string): Key {
    return this.keys.get(region) ?? initialKey;
  }

  /** Whether anything came of it; a refusal is nothing. */
  command(at: string, command: KeyCommand): boolean {
    let events: KeyEvent[];
    try {
      const arn = keyArn(at, '000000000000', 'mrk-0123456789abcdef0123456789abcdef');
      events = decideKey(command, this.key(at), { keyArn: arn, now: this.now });
    } catch (error) {
      expect(error).toBeInstanceOf(KmsError);
      return false;
    }
    for (const event of events) {
      this.keys.set(at, evolveKey(this.key(at), event, this.now));
      this.log.push({ region: at, event, time: this.now });
    }
    return events.length > 0;
  }

  due(): DueStep[] {
    const related = [...this.keys].map(([at, key]): RelatedKey => ({ region: at, key, time: this.now }));
    const due = dueSteps(related);
    for (const step of due) {
      const { type } = step.command;
      this.planned.set(type, [...(this.planned.get(type) ?? []), step]);
    }
    return due;
  }

  fire(at: string): boolean {
    const key = this.key(at);
    if (key.keyState === 'PendingDeletion')
      return this.command(at, { type: 'FireDeletion', deadline: key.deletionDate });
    if (isLiving(key) && key.rotation) {
      return this.command(at, { type: 'FireRotation', deadline: key.rotation.nextRotationDate });
    }
    return false;
  }

  do(step: Asked): void {
    switch (step.ask) {
      case 'pass':
        this.now = plusDays(this.now, step.days);
        return;
      case 'timer':
        this.fire(REGIONS[step.at]!);
        return;
      case 'delete':
        this.command(REGIONS[step.at]!, COMMANDS.schedule);
        this.now = plusDays(this.now, 7);
        this.fire(REGIONS[step.at]!);
        return;
      case 'step':
        this.make(this.due(), step.pick);
        return;
      case 'lateStep':
        this.make([...this.planned.values()][step.kind % Math.max(1, this.planned.size)] ?? [], step.pick);
        return;
      case 'allSteps':
        this.settleSteps();
        return;
      case 'replicate': {
        const replicaRegion = REGIONS[step.to]!;
        const generation = generationOf(this.key(replicaRegion)) + 1;
        const own = { description: '', policy: '{}', tags: [] };
        this.command(this.whom(step), { type: 'BeginReplication', replicaRegion, generation, ...own });
        return;
      }
      case 'handOver':
        this.command(this.whom(step), { type: 'HandOverPrimary', primaryRegion: REGIONS[step.to]! });
        return;
      default:
        this.command(REGIONS[step.at]!, COMMANDS[step.ask]);
    }
  }

  private whom(step: { at: number; astray: boolean }): string {
    const primary = [...this.keys].find(([, key]) => isLiving(key) && key.family?.keyType === 'PRIMARY')?.[0];
    return step.astray ? REGIONS[step.at]! : (primary ?? REGIONS[step.at]!);
  }

  private make(steps: readonly DueStep[], pick: number): void {
    const one = steps[pick % Math.max(1, steps.length)];
    if (one) this.command(one.region, one.command);
  }

  private settleSteps(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const { region, command } of this.due()) moved = this.command(region, command) || moved;
    }
  }

  living(): LivingKey[] {
    return [...this.keys.values()].filter(isLiving);
  }

  /** Everything that is due happens, and no time goes by. */
  settle(): void {
    for (let round = 0; round < 100; round++) {
      const due = this.due();
      let moved = false;
      for (const { region: at, command } of due) moved = this.command(at, command) || moved;
      for (const at of REGIONS) moved = this.fire(at) || moved;
      if (!moved) {
        expect(due).toEqual([]);
        return;
      }
    }
    throw new Error('does not come to rest');
  }
}

const COMMANDS: Record<Plain, KeyCommand> = {
  rotate: { type: 'RotateKeyOnDemand' },
  schedule: { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 },
  cancel: { type: 'CancelKeyDeletion' },
  enable: { type: 'EnableKey' },
  disable: { type: 'DisableKey' },
  enableRotation: { type: 'EnableKeyRotation', rotationPeriodInDays: 90 },
  disableRotation: { type: 'DisableKeyRotation' },
};

function expectSound(world: World): void {
  const living = world.living();
  const primaries = living.filter(({ family }) => family?.keyType === 'PRIMARY');
  expect(primaries.length).toBeLessThanOrEqual(1);
  // Of a version there is one material, whoever knows it.
  const longest = living.reduce<LivingKey['versions']>(
    (most, { versions }) => (versions.length > most.length ? versions : most),
    [],
  );
  for (const { versions } of living) expect(versions).toEqual(longest.slice(0, versions.length));
  for (const key of world.keys.values()) {
    const takesMaterial = key.keyState === 'Deleted' && key.allMaterialIds.length > 0;
    if (takesMaterial) expect(living).toEqual([]);
    if (key.keyState === 'PendingDeletion' && key.family?.keyType === 'PRIMARY') expect(living).toEqual([key]);
  }
}

describe('related keys, whatever is asked of them, in whatever order, with steps left undone and steps made late', () => {
  test('have one primary at most and one material for each version, which lasts as long as the last of them', () => {
    fc.assert(
      fc.property(fc.array(asked, { maxLength: 60, size: 'max' }), (steps) => {
        const world = new World();
        world.command(REGIONS[0], {
          ...{ type: 'CreateKey', description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT' },
          ...{ multiRegion: true, policy: '{}', tags: [] },
        });
        for (const to of [1, 2]) world.do({ ask: 'replicate', at: 0, to, astray: false });
        for (const step of steps) {
          world.do(step);
          expectSound(world);
        }
        world.settle();
        expectSound(world);
        const living = world.living();
        const [primary, ...more] = living.filter(({ family }) => family?.keyType === 'PRIMARY');
        expect(more).toEqual([]);
        if (living.length > 0) expect(primary).toBeDefined();
        for (const key of living) {
          expect(['Creating', 'Updating']).not.toContain(key.keyState);
          expect(isSynchronized(key, primary!)).toBe(true);
        }
        const others = [...world.keys].filter(([, key]) => isLiving(key) && key !== primary).map(([at]) => at);
        expect((primary?.family?.replicas ?? []).map((replica) => replica.region).sort()).toEqual(others.sort());
        const replayed = new Map<string, Key>();
        for (const { region: at, event, time } of world.log) {
          replayed.set(at, evolveKey(replayed.get(at) ?? initialKey, event, time));
        }
        expect(replayed).toEqual(world.keys);
      }),
      { numRuns: 200 },
    );
  });
});
