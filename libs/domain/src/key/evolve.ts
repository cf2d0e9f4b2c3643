import { type Evolvers, evolveBy, isEventOf } from '../aggregate';
import { creationEvolvers } from './creation';
import { deletionEvolvers } from './deletion';
import type { KeyEvent } from './events';
import { importEvolvers } from './imported/evolve';
import { multiRegionEvolvers } from './multi-region';
import { propertyEvolvers } from './properties';
import { rotationEvolvers } from './rotation';
import type { Key } from './state';

/** THE table of key events. An event that is not in it is an error, never skipped. */
const evolvers: Evolvers<Key, KeyEvent> = {
  ...creationEvolvers,
  ...propertyEvolvers,
  ...rotationEvolvers,
  ...deletionEvolvers,
  ...importEvolvers,
  ...multiRegionEvolvers,
};

export const isKeyEvent = (type: string): type is KeyEvent['type'] => isEventOf(evolvers, type);

/** `time` is that of the commit the event is in. */
export const evolveKey = (key: Key, event: KeyEvent, time: string): Key => evolveBy('key', evolvers, key, event, time);
