import type { AssumeRoleRequest, AssumeRoleResponse } from '@aws-sdk/client-sts';
import { assumedRoleArn, roleArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { Tag } from '#domain/key/events';
import type { RolePrincipal } from '#domain/principal/state';
import { authorize } from '#policy/authorize';
import { parsePolicyDocument } from '#policy/document';
import type { ContextLookup } from '#policy/variables';
import type { Projection } from '#views/projection';
import { ownPolicies } from '../authorization';
import { compiledPolicy } from '../compiled-policies';
import { conditionContext, fixedContext, tagContext } from '../condition-context';
import { resourceTag } from '../iam/access';
import { TAG_KEYS, TAGS } from '../iam/fields';
import { domainTags, type WireTag } from '../iam/iam-tags';
import { type Call, data } from '../operation';
import { Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { assertNoMfa, SERIAL_NUMBER, TOKEN_CODE, unsupported } from './no-mfa';
import { issueCredentials } from './session-credentials';

const DEFAULT_SECONDS = 3_600;
/** Of a session that a session asks for, whatever the role allows. */
const CHAINED_SECONDS = 3_600;
/** Session policy and tags together: they travel in a header with every request of the session. */
const MAX_PACKED_BYTES = 4_096;

const SESSION_NAME = { kind: 'string', min: 2, max: 64, pattern: /^[\w+=,.@-]*$/ } as const;
/** Refused, however many there are. */
const STRUCTURES = { kind: 'structures', max: 50, members: {} } as const;

class AssumeRole implements AssumeRoleRequest {
  @Required({ kind: 'string', min: 20, max: 2048 }) RoleArn!: string;
  @Required(SESSION_NAME) RoleSessionName!: string;
  @Optional(STRUCTURES) PolicyArns?: object[];
  @Optional({ kind: 'string', min: 1, max: 2048, pattern: /^[\u0009\u000A\u000D\u0020-\u00FF]+$/ }) Policy?: string;
  @Optional({ kind: 'integer', min: 900, max: 43_200 }) DurationSeconds?: number;
  @Optional(TAGS) Tags?: WireTag[];
  @Optional(TAG_KEYS) TransitiveTagKeys?: string[];
  @Optional({ kind: 'string', min: 2, max: 1224, pattern: /^[\w+=,.@:/-]*$/ }) ExternalId?: string;
  @Optional(SERIAL_NUMBER) SerialNumber?: string;
  @Optional(TOKEN_CODE) TokenCode?: string;
  @Optional(SESSION_NAME) SourceIdentity?: string;
  @Optional(STRUCTURES) ProvidedContexts?: object[];
}

export const assumeRole = data<AssumeRole, Wire<AssumeRoleResponse>>({
  service: 'sts',
  name: 'AssumeRole',
  request: AssumeRole,
  recordsReply: true,
  run(request, call, ports) {
    const { caller } = call;
    if (caller.principal.kind === 'root') {
      throw new KmsError('AccessDeniedException', 'Roles may not be assumed by root accounts.');
    }
    const tags = domainTags(request.Tags);
    const { account, role } = roleToAssume(request, tags, call, ports.projection);
    assertSupported(request);
    const seconds = durationOf(request, role, call);
    if (request.Policy !== undefined) parsePolicyDocument(request.Policy, 'session');
    const packed = assertPackable(request.Policy, tags);
    const { RoleSessionName: sessionName } = request;
    const principalId = `${role.uniqueId}:${sessionName}`;
    const sourceIdentity = caller.session?.sourceIdentity ?? request.SourceIdentity;
    const credentials = issueCredentials(
      {
        account,
        principalId,
        roleName: role.name,
        sessionName,
        ...(request.Policy === undefined ? {} : { policy: request.Policy }),
        ...(tags.length === 0 ? {} : { tags }),
        ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
      },
      seconds,
      ports,
    );
    return {
      Credentials: credentials,
      AssumedRoleUser: { AssumedRoleId: principalId, Arn: assumedRoleArn(account, role.name, sessionName) },
      ...(packed === 0 ? {} : { PackedPolicySize: packed }),
      ...(sourceIdentity === undefined ? {} : { SourceIdentity: sourceIdentity }),
    };
  },
});

const ROLE_ARN = /^arn:aws:iam::(\d{12}):role(\/(?:[\u0021-\u007E]+\/)?)([\w+=,.@-]{1,64})$/;

/** The role, if its trust policy and the caller's own policies let the caller in. Who may not does not learn whether it exists. */
function roleToAssume(
  request: AssumeRole,
  tags: readonly Tag[],
  call: Call,
  projection: Projection,
): { account: string; role: RolePrincipal } {
  const { RoleArn } = request;
  const [, account = '', path, name = ''] = ROLE_ARN.exec(RoleArn) ?? [];
  if (name === '') throw new KmsError('ValidationError', `${RoleArn} is invalid`);
  const refused = (action: string): KmsError =>
    new KmsError(
      'AccessDeniedException',
      `User: ${call.caller.principalArn} is not authorized to perform: ${action} on resource: ${RoleArn}`,
    );
  const state = projection.role(account, name)?.state;
  // Names are unique without case, but an ARN has one's own.
  const role = state?.kind === 'Role' && state.name === name && state.path === path ? state : undefined;
  if (!role) throw refused('sts:AssumeRole');
  const actions = ['sts:AssumeRole'];
  if (tags.length > 0) actions.push('sts:TagSession');
  if (request.SourceIdentity !== undefined) actions.push('sts:SetSourceIdentity');
  for (const action of actions) {
    const decision = authorize(
      {
        action,
        resource: roleArn(account, role.path, role.name),
        resourceAccount: account,
        principal: call.caller.principal,
        context: conditionContext(call, { context: contextOf(request, tags, account, role) }),
      },
      { ...ownPolicies(call.caller), resourcePolicy: compiledPolicy('trust', role.trustPolicy, role.namedIds) },
    );
    call.trail?.decided(decision);
    if (!decision.allowed) throw refused(action);
  }
  const before = call.caller.session?.sourceIdentity;
  if (before !== undefined && request.SourceIdentity !== undefined && before !== request.SourceIdentity) {
    throw refused('sts:SetSourceIdentity');
  }
  // Not before: a caller who may not assume it does not learn from its own trail that there is one.
  call.trail?.about(RoleArn, account, 'AWS::IAM::Role');
  return { account, role };
}

function contextOf(request: AssumeRole, tags: readonly Tag[], account: string, role: RolePrincipal): ContextLookup {
  const requested = tagContext(tags);
  const fixed = fixedContext({
    'sts:externalid': request.ExternalId,
    'sts:rolesessionname': request.RoleSessionName,
    'sts:sourceidentity': request.SourceIdentity,
    'aws:resourceaccount': account,
  });
  return (key) => fixed(key) ?? requested(key) ?? resourceTag(role.tags, key);
}

function assertSupported(request: AssumeRole): void {
  assertNoMfa(request);
  for (const member of ['PolicyArns', 'TransitiveTagKeys', 'ProvidedContexts'] as const) {
    if (request[member] !== undefined && request[member].length > 0) throw unsupported(member);
  }
}

function durationOf({ DurationSeconds: asked }: AssumeRole, role: RolePrincipal, { caller }: Call): number {
  if (caller.principal.kind === 'role-session' && (asked ?? 0) > CHAINED_SECONDS) {
    throw new KmsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
    );
  }
  if ((asked ?? 0) > role.maxSessionDuration) {
    throw new KmsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    );
  }
  return asked ?? DEFAULT_SECONDS;
}

/** Per cent of the space that policy and tags may take. */
function assertPackable(policy: string | undefined, tags: readonly Tag[]): number {
  const bytes = Buffer.byteLength(policy ?? '') + tags.reduce((sum, tag) => sum + tagBytes(tag), 0);
  const percent = Math.ceil((bytes / MAX_PACKED_BYTES) * 100);
  if (percent > 100) {
    throw new KmsError(
      'PackedPolicyTooLarge',
      `Packed policy consumes ${percent}% of allotted space, please use smaller policy.`,
    );
  }
  return percent;
}

const tagBytes = ({ key, value }: Tag): number => Buffer.byteLength(key) + Buffer.byteLength(value) + 24;
