import { keyArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { KeyCommand } from '#domain/key/commands';
import { decideKey } from '#domain/key/decide';
import type { KeyEvent } from '#domain/key/events';
import { evolveKey } from '#domain/key/evolve';
import { type DueStep, dueSteps, type RelatedKey } from '#domain/key/related-keys';
import { initialKey, isLiving, type Key, type LivingKey } from '#domain/key/state';

export const RELATED_ID = 'mrk-0123456789abcdef0123456789abcdef';
const ACCOUNT = '000000000000';
/** In a row, of one change, that are more than there can be. */
const MOST_STEPS = 100;

export const relatedArnIn = (region: string): string => keyArn(region, ACCOUNT, RELATED_ID);

/** Related keys, each of which is asked on its own; pure. */
export class RelatedRegions {
  readonly keys = new Map<string, Key>();
  readonly log: { region: string; event: KeyEvent; time: string }[] = [];

  constructor(public now: string) {}

  key(region: string): Key {
    return this.keys.get(region) ?? initialKey;
  }

  living(region: string): LivingKey {
    const key = this.key(region);
    if (!isLiving(key)) throw new Error(`no key in ${region}`);
    return key;
  }

  /** Throws KmsError. */
  ask(region: string, command: KeyCommand): KeyEvent[] {
    const events = decideKey(command, this.key(region), { keyArn: relatedArnIn(region), now: this.now });
    for (const event of events) {
      this.keys.set(region, evolveKey(this.key(region), event, this.now));
      this.log.push({ region, event, time: this.now });
    }
    return events;
  }

  /** As `code: message`. */
  refused(region: string, command: KeyCommand): string {
    try {
      this.ask(region, command);
    } catch (error) {
      if (error instanceof KmsError) return `${error.code}: ${error.message}`;
      throw error;
    }
    return 'not refused';
  }

  related(): RelatedKey[] {
    return [...this.keys].map(([region, key]) => ({ region, key, time: this.now }));
  }

  due(): DueStep[] {
    return dueSteps(this.related());
  }

  /** Makes the next due step, and tells which. */
  step(): string | undefined {
    const [next] = this.due();
    if (!next) return undefined;
    const [event] = this.ask(next.region, next.command);
    return `${next.region} ${event?.type}`;
  }

  settle(): string[] {
    const made: string[] = [];
    for (let step = this.step(); step !== undefined; step = this.step()) {
      if (made.push(step) > MOST_STEPS) throw new Error(`does not come to rest: ${made.slice(-3)}`);
    }
    return made;
  }

  states(...regions: string[]): string[] {
    return regions.map((region) => {
      const key = this.key(region);
      return `${'family' in key && key.family && 'keyType' in key.family ? `${key.family.keyType} ` : ''}${key.keyState}`;
    });
  }

  /** What the log folds to. */
  replayed(): Map<string, Key> {
    const keys = new Map<string, Key>();
    for (const { region, event, time } of this.log) {
      keys.set(region, evolveKey(keys.get(region) ?? initialKey, event, time));
    }
    return keys;
  }
}
