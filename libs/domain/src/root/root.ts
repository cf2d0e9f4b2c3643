import { type Aggregate, EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import { KmsError } from '../errors';
import type { AggregateRef } from '../subjects';

/** One key of the root, as the log names it. */
export interface RootKeyRef {
  epoch: number;
  /** By which what holds it tells keys of one epoch apart. */
  id: string;
}

/** Which root key wraps all material, and how far its replacement is. Until the first rotation the log says nothing of it. */
export type Root =
  | { rootState: 'Unrotated' }
  | { rootState: 'Rotating'; from: number; key: RootKeyRef; begunAt: string }
  /** No record of epoch `from` is left, and its key is to be destroyed. */
  | { rootState: 'Retiring'; from: number; key: RootKeyRef; begunAt: string }
  | { rootState: 'Rotated'; key: RootKeyRef; since: string };

/** From here on everything is wrapped under the key of epoch `to`, and what epoch `from` wrapped is wrapped anew. */
export interface RootRotationBegun {
  type: 'RootRotationBegun';
  v: 1;
  from: number;
  to: number;
  keyId: string;
}

/** No stored material is of this epoch any more. */
export interface RootEpochRetired {
  type: 'RootEpochRetired';
  v: 1;
  epoch: number;
}

/** The key of this epoch is gone for good, and with it whatever a copy of the store still holds of it. */
export interface RootEpochDestroyed {
  type: 'RootEpochDestroyed';
  v: 1;
  epoch: number;
}

export type RootEvent = RootRotationBegun | RootEpochRetired | RootEpochDestroyed;

/** Each changes nothing where it is done already. */
export type RootCommand =
  | { type: 'BeginRootRotation'; from: number; keyId: string }
  | { type: 'RetireRootEpoch'; epoch: number }
  | { type: 'RecordRootEpochDestroyed'; epoch: number };

export const initialRoot: Root = { rootState: 'Unrotated' };

/** One for all accounts and regions. */
export const ROOT_REF: AggregateRef<'root'> = { region: 'global', account: 'keytrail', aggregate: 'root', id: 'root' };

/** The key that wraps; undefined where the log does not know, and it is the only one that there is. */
export const rootKeyInUse = (root: Root): RootKeyRef | undefined =>
  root.rootState === 'Unrotated' ? undefined : root.key;

/** What material may be wrapped under, the newest first; none where the log does not know. */
export function livingEpochs(root: Root): readonly number[] {
  switch (root.rootState) {
    case 'Unrotated':
      return [];
    case 'Rotated':
      return [root.key.epoch];
    default:
      return [root.key.epoch, root.from];
  }
}

const cannotFollow = ({ type }: RootEvent, { rootState }: Root): EvolveError =>
  new EvolveError(`${type} on a root that is ${rootState}`);

/** THE table of root events. */
const evolvers: Evolvers<Root, RootEvent> = {
  RootRotationBegun(root, event, begunAt) {
    const { from, to, keyId } = event;
    const follows = root.rootState === 'Unrotated' || (root.rootState === 'Rotated' && root.key.epoch === from);
    if (!follows || to !== from + 1) throw cannotFollow(event, root);
    return { rootState: 'Rotating', from, key: { epoch: to, id: keyId }, begunAt };
  },
  RootEpochRetired(root, event) {
    if (root.rootState !== 'Rotating' || root.from !== event.epoch) throw cannotFollow(event, root);
    return { ...root, rootState: 'Retiring' };
  },
  RootEpochDestroyed(root, event, since) {
    if (root.rootState !== 'Retiring' || root.from !== event.epoch) throw cannotFollow(event, root);
    return { rootState: 'Rotated', key: root.key, since };
  },
};

/** Throws ValidationException for what does not fit how far the root is. */
function decide(command: RootCommand, root: Root): RootEvent[] {
  const of = (epoch: number): boolean => 'from' in root && root.from === epoch;
  switch (command.type) {
    case 'BeginRootRotation': {
      const { from, keyId } = command;
      // One at a time: whoever asks for another goes on with this one.
      if ('from' in root) return [];
      if (root.rootState === 'Rotated' && root.key.epoch === from + 1) return [];
      if (root.rootState === 'Rotated' && root.key.epoch !== from) throw refused(root.key.epoch, from);
      return [{ type: 'RootRotationBegun', v: 1, from, to: from + 1, keyId }];
    }
    case 'RetireRootEpoch':
      if (root.rootState === 'Rotating' && of(command.epoch)) {
        return [{ type: 'RootEpochRetired', v: 1, epoch: command.epoch }];
      }
      break;
    case 'RecordRootEpochDestroyed':
      if (root.rootState === 'Retiring' && of(command.epoch)) {
        return [{ type: 'RootEpochDestroyed', v: 1, epoch: command.epoch }];
      }
      if (root.rootState === 'Rotating' && of(command.epoch)) {
        throw new KmsError('ValidationException', `epoch ${command.epoch} of the root key is still in use`);
      }
      break;
  }
  if (of(command.epoch) || (root.rootState === 'Rotated' && root.key.epoch > command.epoch)) return [];
  throw new KmsError('ValidationException', `no rotation of the root key from epoch ${command.epoch} is under way`);
}

const refused = (epoch: number, from: number): KmsError =>
  new KmsError('ValidationException', `the root key is of epoch ${epoch}, not ${from}`);

export const rootAggregate: Aggregate<Root, RootEvent, RootCommand> = {
  initial: initialRoot,
  isEvent: (type) => isEventOf(evolvers, type),
  evolve: (root, event, time) => evolveBy('root', evolvers, root, event, time),
  decide: (command, root) => decide(command, root),
  // The right to wrap under the epoch before: nothing may still be on its way that is wrapped under it.
  revokes: { RootRotationBegun: true, RootEpochRetired: true, RootEpochDestroyed: false },
};
