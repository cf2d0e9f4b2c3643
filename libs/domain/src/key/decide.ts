import type { DecideContext, KeyCommand } from './commands';
import { creationDeciders } from './creation';
import { deletionDeciders } from './deletion';
import type { KeyEvent } from './events';
import type { KeyDeciders } from './families';
import { importDeciders } from './imported/decide';
import { managedKeyDeciders } from './managed-key';
import { multiRegionDeciders } from './multi-region';
import { propertyDeciders } from './properties';
import { rotationDeciders } from './rotation';
import type { Key } from './state';

/** THE table of key commands. No events means that there is nothing to change, which is a success. */
const deciders: KeyDeciders<KeyCommand['type']> = {
  ...creationDeciders,
  ...managedKeyDeciders,
  ...propertyDeciders,
  ...rotationDeciders,
  ...deletionDeciders,
  ...importDeciders,
  ...multiRegionDeciders,
};

type Decider = (command: KeyCommand, key: Key, context: DecideContext) => KeyEvent[];

/** The events that `command` causes on `key`; throws KmsError where AWS would refuse. Pure. */
export function decideKey(command: KeyCommand, key: Key, context: DecideContext): KeyEvent[] {
  return (deciders[command.type] as Decider)(command, key, context);
}
