import { EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import { KmsError } from '../errors';
import type { AliasEvent } from './events';

/** An alias is small enough for state, decide and evolve to be read together. */
export type Alias =
  | { aliasState: 'None' }
  | { aliasState: 'Active'; targetKeyId: string; createdAt: string; updatedAt: string };

export const initialAlias: Alias = { aliasState: 'None' };

export type AliasCommand =
  /** `goneKeyId`: a key that the caller has seen to be gone; an alias still pointing at it does not stand in the way. */
  | { type: 'CreateAlias'; targetKeyId: string; goneKeyId?: string | undefined }
  | { type: 'UpdateAlias'; targetKeyId: string; goneKeyId?: string | undefined }
  | { type: 'DeleteAlias'; goneKeyId?: string | undefined }
  | { type: 'RemoveAliasOfDeletedKey'; keyId: string };

export const aliasNotFound = (aliasArn: string): KmsError =>
  new KmsError('NotFoundException', `Alias ${aliasArn} is not found.`);

export const aliasAlreadyExists = (aliasArn: string): KmsError =>
  new KmsError('AlreadyExistsException', `An alias with the name ${aliasArn} already exists`);

/** The events that `command` causes; throws KmsError where AWS would refuse. Pure. */
export function decideAlias(command: AliasCommand, alias: Alias, aliasArn: string): AliasEvent[] {
  const target = alias.aliasState === 'Active' ? alias.targetKeyId : undefined;
  if (command.type === 'RemoveAliasOfDeletedKey') {
    return target === command.keyId ? [{ type: 'AliasDeleted', v: 1, reason: 'KEY_DELETED' }] : [];
  }
  const left = target !== undefined && target === command.goneKeyId;
  if (command.type === 'CreateAlias') {
    const create: AliasEvent = { type: 'AliasCreated', v: 1, targetKeyId: command.targetKeyId };
    if (left) return [{ type: 'AliasDeleted', v: 1, reason: 'KEY_DELETED' }, create];
    if (target !== undefined) throw aliasAlreadyExists(aliasArn);
    return [create];
  }
  if (target === undefined || left) throw aliasNotFound(aliasArn);
  if (command.type === 'DeleteAlias') return [{ type: 'AliasDeleted', v: 1, reason: 'REQUESTED' }];
  return target === command.targetKeyId ? [] : [{ type: 'AliasUpdated', v: 1, targetKeyId: command.targetKeyId }];
}

/** THE table of alias events. */
const evolvers: Evolvers<Alias, AliasEvent> = {
  AliasCreated: (alias, event, time) => {
    if (alias.aliasState !== 'None') throw new EvolveError('AliasCreated on an alias that exists');
    return { aliasState: 'Active', targetKeyId: event.targetKeyId, createdAt: time, updatedAt: time };
  },
  AliasUpdated: (alias, event, time) => {
    if (alias.aliasState === 'None') throw new EvolveError('AliasUpdated on an alias that does not exist');
    return { ...alias, targetKeyId: event.targetKeyId, updatedAt: time };
  },
  AliasDeleted: (alias) => {
    if (alias.aliasState === 'None') throw new EvolveError('AliasDeleted on an alias that does not exist');
    return initialAlias;
  },
};

export const isAliasEvent = (type: string): type is AliasEvent['type'] => isEventOf(evolvers, type);

/** `time` is that of the commit the event is in. */
export const evolveAlias = (alias: Alias, event: AliasEvent, time: string): Alias =>
  evolveBy('alias', evolvers, alias, event, time);
