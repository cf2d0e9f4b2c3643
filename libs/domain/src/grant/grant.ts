import { type Aggregate, type DecidePlace, EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import { KmsError } from '../errors';
import type { KeySpec, KeyUsage } from '../key/key-kinds';
import { assertConstraints, withoutEmpty } from './constraints';
import type { GrantConstraints, GrantCreated, GrantEvent } from './events';
import { type GrantParameters, sameParameters } from './grant-id';
import { canBeGranted, type GrantOperation, inOrder, takesConstraints } from './grant-operations';

/** A grant is small enough for state, decide and evolve to be read together. */
export interface NoGrant {
  grantState: 'None';
}
export interface ActiveGrant {
  grantState: 'Active';
  /** In the account and region of the grant. */
  keyId: string;
  granteePrincipal: string;
  /** The grant is for the user or role with this unique id only, whoever has the name today. */
  granteeUniqueId?: string;
  retiringPrincipal?: string;
  retiringUniqueId?: string;
  operations: readonly GrantOperation[];
  constraints?: GrantConstraints;
  name?: string;
  createdAt: string;
  /** ARN; its account is the grant's issuing account. */
  issuedBy: string;
}
/** For good: a grant of the same name and parameters is another aggregate, of the next generation. */
export interface EndedGrant {
  grantState: 'Ended';
  how: 'Revoked' | 'Retired';
  keyId: string;
  endedAt: string;
}
export type Grant = NoGrant | ActiveGrant | EndedGrant;

export const initialGrant: Grant = { grantState: 'None' };

export type GrantCommand =
  /** `keySpec` and `keyUsage` are those of the key: they say what can be granted. */
  | ({ type: 'CreateGrant'; issuedBy: string; keySpec: KeySpec; keyUsage: KeyUsage } & GrantParameters)
  /** `keyId` is the key that the caller named: a grant of another is not found. */
  | { type: 'RevokeGrant'; keyId: string }
  | { type: 'RetireGrant'; keyId: string };

/** The generation has ended since the id was made: make the id of the next one (`openGrantId`) and decide again. */
export class GrantEndedError extends Error {
  override readonly name = 'GrantEndedError';
}

export const grantNotFound = (grantId: string): KmsError =>
  new KmsError('NotFoundException', `Grant ID ${grantId} not found`);

/** The events that `command` causes; throws KmsError where AWS would refuse, and GrantEndedError. Pure. */
export function decideGrant(command: GrantCommand, grant: Grant, { id }: DecidePlace): GrantEvent[] {
  if (command.type !== 'CreateGrant') {
    if (grant.grantState !== 'Active' || grant.keyId !== command.keyId) throw grantNotFound(id);
    return [{ type: command.type === 'RevokeGrant' ? 'GrantRevoked' : 'GrantRetired', v: 1 }];
  }
  assertOperations(command);
  assertConstraints(command.constraints, takesConstraints(command.keySpec));
  if (grant.grantState === 'Ended') throw new GrantEndedError(`grant ${id} has ended`);
  if (grant.grantState === 'Active') {
    if (sameParameters(grant, command)) return [];
    throw new KmsError('KMSInternalException', `Grant ${id} exists already, with other parameters; try again.`);
  }
  return [created(command)];
}

function created(command: Extract<GrantCommand, { type: 'CreateGrant' }>): GrantCreated {
  const { keyId, granteePrincipal, granteeUniqueId, retiringPrincipal, retiringUniqueId, name, issuedBy } = command;
  const constraints = withoutEmpty(command.constraints);
  return {
    type: 'GrantCreated',
    v: 1,
    keyId,
    granteePrincipal,
    ...(granteeUniqueId === undefined ? {} : { granteeUniqueId }),
    ...(retiringPrincipal === undefined ? {} : { retiringPrincipal }),
    ...(retiringUniqueId === undefined ? {} : { retiringUniqueId }),
    operations: inOrder(command.operations),
    ...(constraints === undefined ? {} : { constraints }),
    ...(name === undefined ? {} : { name }),
    issuedBy,
  };
}

function assertOperations({ operations, keySpec, keyUsage }: Extract<GrantCommand, { type: 'CreateGrant' }>): void {
  if (operations.length === 0) {
    throw new KmsError(
      'ValidationException',
      "1 validation error detected: Value '[]' at 'operations' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
  }
  if (operations.every((operation) => operation === 'CreateGrant')) {
    throw new KmsError('ValidationException', 'Grants must not contain only the CreateGrant operation.');
  }
  const unfit = operations.filter((operation) => !canBeGranted(operation, keySpec, keyUsage));
  if (unfit.length > 0) {
    throw new KmsError(
      'ValidationException',
      `A key of spec ${keySpec} and usage ${keyUsage} does not support ${unfit.join(', ')}.`,
    );
  }
}

/** THE table of grant events. */
const evolvers: Evolvers<Grant, GrantEvent> = {
  GrantCreated: (grant, event, time) => {
    if (grant.grantState !== 'None') throw new EvolveError('GrantCreated on a grant that exists');
    const { type: _type, v: _v, ...facts } = event;
    return { grantState: 'Active', ...facts, createdAt: time };
  },
  GrantRevoked: (grant, _event, time) => ended(grant, 'Revoked', time),
  GrantRetired: (grant, _event, time) => ended(grant, 'Retired', time),
};

function ended(grant: Grant, how: EndedGrant['how'], endedAt: string): EndedGrant {
  if (grant.grantState !== 'Active') throw new EvolveError(`Grant${how} on a grant that is ${grant.grantState}`);
  return { grantState: 'Ended', how, keyId: grant.keyId, endedAt };
}

export const evolveGrant = (grant: Grant, event: GrantEvent, time: string): Grant =>
  evolveBy('grant', evolvers, grant, event, time);

export const grantAggregate: Aggregate<Grant, GrantEvent, GrantCommand> = {
  initial: initialGrant,
  isEvent: (type) => isEventOf(evolvers, type),
  evolve: evolveGrant,
  decide: decideGrant,
  revokes: { GrantCreated: false, GrantRevoked: true, GrantRetired: true },
};
