import type { CreateGrantRequest, CreateGrantResponse } from '@aws-sdk/client-kms';
import type { CommandOf } from '#domain/aggregates';
import { KmsError } from '#domain/errors';
import { withoutEmpty } from '#domain/grant/constraints';
import { canDelegate } from '#domain/grant/delegation';
import type { GrantConstraints } from '#domain/grant/events';
import { decideGrant, GrantEndedError } from '#domain/grant/grant';
import { openGrantId } from '#domain/grant/grant-id';
import { GRANT_OPERATIONS, type GrantOperation, inOrder } from '#domain/grant/grant-operations';
import { assertStateAllows } from '#domain/key/state-table';
import type { AggregateRef } from '#domain/subjects';
import { authorizeKey } from '../authorization';
import { checked } from '../checks';
import { fixedContext } from '../condition-context';
import { endDryRun } from '../dry-run';
import { type FoundKey, findKey, foundAnew } from '../key-lookup';
import type { Limit } from '../limits';
import { type Call, type ControlPorts, control } from '../operation';
import { BOOLEAN, CONTEXT, GRANT_NAME, GRANT_TOKENS, KEY_ID, Optional, PRINCIPAL_ID, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { grantPrincipal, principalArn } from './grant-principals';

const GRANTS_PER_KEY = 50_000;
const GRANT_ID_LENGTH = 32;
/** Somebody who ends a grant as often as this while it is being made will do so again. */
const MAX_GENERATIONS_MET = 20;

const optional = <C>(constraint: C) => ({ constraint, required: false });

class CreateGrant implements CreateGrantRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(PRINCIPAL_ID) GranteePrincipal!: string;
  @Optional(PRINCIPAL_ID) RetiringPrincipal?: string;
  @Required({ kind: 'enums', values: GRANT_OPERATIONS }) Operations!: GrantOperation[];
  @Optional({
    kind: 'structure',
    members: {
      EncryptionContextSubset: optional(CONTEXT),
      EncryptionContextEquals: optional(CONTEXT),
      SourceArn: optional({ kind: 'string' } as const),
    },
  })
  Constraints?: NonNullable<CreateGrantRequest['Constraints']>;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(GRANT_NAME) Name?: string;
  @Optional(BOOLEAN) DryRun?: boolean;
}

type Command = Extract<CommandOf<'grant'>, { type: 'CreateGrant' }>;

/** Refused rather than left out: without it the grant would allow more than was asked for. */
function constraintsOf({ Constraints: given }: CreateGrant): GrantConstraints | undefined {
  if (!given) return undefined;
  if (given.SourceArn !== undefined) {
    throw new KmsError(
      'UnsupportedOperationException',
      'The grant constraint SourceArn is not supported by this version of Keytrail.',
    );
  }
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset } = given;
  return {
    ...(equals && { encryptionContextEquals: equals }),
    ...(subset && { encryptionContextSubset: subset }),
  };
}

/**
 * Before anything is said of principals or of the key's state. Of the caller's grants only those count that allow to give
 * away what is asked for: who may create grants by a grant alone is refused what goes beyond it, as AWS does.
 */
function authorizeCreation(request: CreateGrant, found: FoundKey, call: Call, { projection }: ControlPorts): void {
  const operations = inOrder(request.Operations);
  const constraints = withoutEmpty(constraintsOf(request));
  const given = { operations, ...(constraints && { constraints }) };
  const context = fixedContext({
    'kms:grantconstrainttype': constraints && Object.keys(constraints).map((name) => name.replace(/^e/, 'E')),
    'kms:granteeprincipal': principalArn(request.GranteePrincipal),
    'kms:grantisforawsresource': false,
    'kms:grantoperations': operations,
    'kms:retiringprincipal': request.RetiringPrincipal && principalArn(request.RetiringPrincipal),
  });
  authorizeKey(call, projection, found, { context, usable: (held) => canDelegate(held, given) });
}

function commandOf(request: CreateGrant, found: FoundKey, call: Call, { projection }: ControlPorts): Command {
  const grantee = grantPrincipal(request.GranteePrincipal, call, projection);
  const retiring =
    request.RetiringPrincipal === undefined ? undefined : grantPrincipal(request.RetiringPrincipal, call, projection);
  const constraints = constraintsOf(request);
  return {
    type: 'CreateGrant',
    keyId: found.keyId,
    keySpec: found.key.keySpec,
    keyUsage: found.key.keyUsage,
    granteePrincipal: grantee.arn,
    ...(grantee.uniqueId !== undefined && { granteeUniqueId: grantee.uniqueId }),
    ...(retiring && { retiringPrincipal: retiring.arn }),
    ...(retiring?.uniqueId !== undefined && { retiringUniqueId: retiring.uniqueId }),
    operations: request.Operations,
    ...(constraints && { constraints }),
    ...(request.Name !== undefined && { name: request.Name }),
    issuedBy: call.caller.principalArn,
  };
}

/** A named grant has the id that its parameters make; one without a name is always a new one. */
function grantRef(
  command: Command,
  { ref, arn }: FoundKey,
  { projection, random }: ControlPorts,
): AggregateRef<'grant'> {
  const { region, account } = ref;
  const hasEnded = (id: string): boolean => projection.grant(region, account, id)?.state.grantState === 'Ended';
  const id = command.name === undefined ? random(GRANT_ID_LENGTH).toString('hex') : openGrantId(arn, command, hasEnded);
  return { region, account, aggregate: 'grant', id };
}

const grantsOf = ({ ref, arn }: FoundKey, { projection }: ControlPorts): Limit => ({
  of: `grants of ${arn}`,
  max: GRANTS_PER_KEY,
  count: () => projection.grantCount(ref),
  has: (id) => projection.grant(ref.region, ref.account, id) !== undefined,
  refusal: () => new KmsError('LimitExceededException', `${arn} can have at most ${GRANTS_PER_KEY} grants`),
});

export const createGrant = control<CreateGrant, Wire<CreateGrantResponse>>({
  name: 'CreateGrant',
  request: CreateGrant,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeCreation(request, found, call, ports);
    const command = commandOf(request, found, call, ports);
    checked(call, (now) => {
      const { key, arn } = foundAnew(found, now, ports.projection);
      assertStateAllows('CreateGrant', key.keyState, arn);
    });
    for (let met = 0; met < MAX_GENERATIONS_MET; met++) {
      const ref = grantRef(command, found, ports);
      const { region, account, id } = ref;
      const folded = ports.projection.folded(ref)?.state ?? { grantState: 'None' };
      if (request.DryRun) decideGrant(command, folded, { region, account, id, now: call.now });
      try {
        const { position } = await ports.limits.within(grantsOf(found, ports), id, call, async () => {
          endDryRun(request.DryRun);
          return ports.runCommand(ref, command, call);
        });
        // The grant is there whether or not its token can be signed: who repeated the call would make a second one.
        const GrantToken = await ports.grantToken({
          grantId: id,
          keyArn: found.arn,
          position,
          requestId: call.requestId,
        });
        return { GrantId: id, ...(GrantToken !== undefined && { GrantToken }) };
      } catch (error) {
        // It was ended while this went on, by another process too: the next generation is to be met.
        if (!(error instanceof GrantEndedError)) throw error;
      }
    }
    throw new KmsError('KMSInternalException', 'The grant is ended as often as it is made; try again.');
  },
});
