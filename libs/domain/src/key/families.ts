import { EvolveError, type Evolvers } from '../aggregate';
import type { DecideContext, KeyCommand } from './commands';
import type { KeyEvent } from './events';
import { isLiving, type Key, type LivingKey } from './state';

/** What each family of commands decides: the events that a command causes, or a KmsError where AWS would refuse. */
export type KeyDeciders<T extends KeyCommand['type']> = {
  [K in T]: (command: Extract<KeyCommand, { type: K }>, key: Key, context: DecideContext) => KeyEvent[];
};

/** What each family of events makes of the state. */
export type KeyEvolvers<T extends KeyEvent['type']> = Pick<Evolvers<Key, KeyEvent>, T>;

/** The key as an event that only a living key can have finds it. Throws EvolveError. */
export function livingBefore(key: Key, event: KeyEvent): LivingKey {
  if (!isLiving(key)) throw new EvolveError(`${event.type} on a key that is ${key.keyState}`);
  return key;
}
