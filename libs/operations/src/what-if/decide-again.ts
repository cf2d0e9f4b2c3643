import { randomBytes } from 'node:crypto';
import type { DecisionInput, OpenPart, SealedPart, UserIdentity } from '#audit-log/record';
import { type AggregateType, aggregateOf, type CommandOf } from '#domain/aggregates';
import { laterOf } from '#domain/dates';
import { type ErrorCode, KmsError } from '#domain/errors';
import type { AggregateRef } from '#domain/subjects';
import type { DecidedBy } from '#policy/decision';
import type { Projection } from '#views/projection';
import { attestationFrom } from '../audit/recorded-attestation';
import { recordedRequest } from '../audit/recorded-request';
import { Trail } from '../audit/trail';
import type { CallerClaim, SessionClaims } from '../caller';
import type { ClusterDirectory } from '../custom-key-stores/key-store-ports';
import { Limits } from '../limits';
import {
  type AuditPorts,
  type Call,
  type ControlPorts,
  type DataPorts,
  isWaiting,
  type Operation,
  type ServiceName,
} from '../operation';
import type { Recipient } from '../recipient';
import { resolveCaller } from '../resolve-caller';
import { operationNamed } from '../table';

export type RecordedCall = OpenPart & SealedPart;

export interface Refusal {
  code: ErrorCode;
  message: string;
  /** What settled the decision; absent where it was not a policy or grant. */
  decidedBy?: DecidedBy;
}

/** Why a call on record cannot be decided again. */
export class NotDecidable extends Error {
  override readonly name = 'NotDecidable';
}

/** Not an error: all that could refuse the call has been passed. */
class Passed extends Error {}

/**
 * How a call on record would come out on a projection, by the operation's own code up to where it would encrypt, append or
 * answer: undefined where nothing refuses it. It is made by the caller, with the parameters and at the time of the record.
 * Nothing is changed. `account`: that of the settings. Throws NotDecidable.
 */
export async function decideAgain(
  record: RecordedCall,
  projection: Projection,
  account: string,
): Promise<Refusal | undefined> {
  const operation = operationOf(record);
  const trail = new Trail();
  try {
    const caller = callerOf(record, projection, account);
    trail.begin(caller);
    const retiring = record.decisionInput?.retiring;
    const call: Call = {
      caller,
      requestId: record.eventID,
      operation: operation.name,
      now: new Date(Date.parse(record.eventTime)).toISOString(),
      trail,
      uses: usesOf(record),
      beyondRecord: pass,
      ...(retiring && { grantToken: { ...retiring, position: 0, requestId: '' } }),
    };
    await run(operation, requestOf(operation, record), call, projection, record);
    return elsewhere(operation, record, trail);
  } catch (error) {
    if (error instanceof Passed) return elsewhere(operation, record, trail);
    if (!(error instanceof KmsError)) throw error;
    if (error.code === 'DryRunOperationException') return elsewhere(operation, record, trail);
    const { code, message } = error;
    return { code, message, ...(isDenial(code) && trail.decidedBy && { decidedBy: trail.decidedBy }) };
  }
}

/** Whether an error says that the caller may not, or is nobody any more. */
export const isDenial = (code: ErrorCode): boolean =>
  code === 'AccessDeniedException' || code === 'UnrecognizedClientException';

function operationOf({ eventName, eventSource }: RecordedCall): Operation {
  const operation = operationNamed(eventSource.split('.')[0] as ServiceName, eventName);
  if (`${operation?.service}.amazonaws.com` !== eventSource) {
    throw new NotDecidable(`this version has no operation ${eventName} of ${eventSource}`);
  }
  return operation!;
}

/** Operations that find a key by their ciphertext, which is not on record, and the member that names it instead. */
const BY_CIPHERTEXT: Record<string, 'KeyId' | 'SourceKeyId'> = { Decrypt: 'KeyId', ReEncrypt: 'SourceKeyId' };

function requestOf(operation: Operation, record: RecordedCall): object {
  const parameters = recordedRequest(operation.request, record.requestParameters) as Record<string, unknown>;
  const request = { ...parameters, ...secretOf(operation, parameters) };
  const member = BY_CIPHERTEXT[operation.name];
  if (!member) return request;
  const key = record.resources?.[0]?.ARN;
  if (key === undefined) throw new NotDecidable('the record does not say which key it was about');
  return { [member]: key, ...request, DryRun: true, DryRunModifiers: ['IGNORE_CIPHERTEXT'] };
}

/** In the place of the one that a custom key store in a cluster was given, which is on no record: it had to have one. */
const secretOf = ({ name }: Operation, { CustomKeyStoreType }: Record<string, unknown>): object =>
  name === 'CreateCustomKeyStore' && CustomKeyStoreType !== 'EXTERNAL_KEY_STORE' ? { KeyStorePassword: '' } : {};

/** Of a ciphertext whose key was named by an alias, the alias may mean another key by now. */
function elsewhere({ name }: Operation, record: RecordedCall, { resources }: Trail): Refusal | undefined {
  if (!BY_CIPHERTEXT[name] || resources[0]?.ARN === record.resources?.[0]?.ARN) return undefined;
  return {
    code: 'IncorrectKeyException',
    message: 'The key ID in the request does not identify a CMK that can perform this operation.',
  };
}

const SESSION_TOKEN = 'recorded';

function callerOf(record: RecordedCall, projection: Projection, account: string) {
  const { userIdentity: identity, decisionInput = {} } = record;
  const { accountId } = identity;
  if (identity.type === 'Unknown' || accountId === undefined || identity.principalId === undefined) {
    throw new NotDecidable('the record does not say who called');
  }
  const principalId = identity.type === 'Root' ? 'root' : identity.principalId;
  const overNats = record.sourceIPAddress === 'nats';
  const session = sessionOf(identity, accountId, principalId, decisionInput);
  const claim: CallerClaim = {
    region: record.awsRegion,
    account: accountId,
    principalId,
    accessKeyId: identity.accessKeyId,
    ...(session && { sessionToken: SESSION_TOKEN }),
    ...(!overNats && {
      sourceIp: record.sourceIPAddress,
      secureTransport: decisionInput.secureTransport ?? false,
    }),
  };
  // The root access key of the settings is not in the log, and is never taken away.
  const rootAccessKeyId = session ? session.issuingAccessKeyId : identity.accessKeyId;
  const anchors = { account, rootAccessKeyId, sessionClaimsOf: () => session };
  return resolveCaller(claim, projection, anchors, Date.parse(record.eventTime));
}

function sessionOf(
  { sessionContext, accessKeyId = '' }: UserIdentity,
  account: string,
  principalId: string,
  { sessionPolicy, sessionTags, issuingAccessKeyId }: DecisionInput,
): SessionClaims | undefined {
  if (!sessionContext) return undefined;
  const { attributes, sessionIssuer, sourceIdentity } = sessionContext;
  const roleName = sessionIssuer?.userName;
  return {
    account,
    principalId,
    accessKeyId,
    issuedAt: Date.parse(attributes.creationDate) / 1000,
    // It had not ended when it made the call.
    expiresAt: Number.POSITIVE_INFINITY,
    ...(roleName !== undefined && { roleName, sessionName: principalId.slice(principalId.indexOf(':') + 1) }),
    ...(sessionPolicy !== undefined && { policy: sessionPolicy }),
    ...(sessionTags && { tags: sessionTags }),
    ...(sourceIdentity !== undefined && { sourceIdentity }),
    ...(issuingAccessKeyId !== undefined && { issuingAccessKeyId }),
  };
}

async function run(
  operation: Operation,
  request: object,
  call: Call,
  projection: Projection,
  record: RecordedCall,
): Promise<void> {
  if (operation.plane === 'control') await operation.run(request, call, controlPorts(projection));
  else if (operation.plane === 'audit') await operation.lookUp(request, call, auditPorts(projection));
  else if (isWaiting(operation)) await operation.runAsync(request, call, dataPorts(projection, record));
  else operation.run(request, call, dataPorts(projection, record));
}

const pass = (): never => {
  throw new Passed();
};

/** The command is decided too: a key's state may refuse it. */
async function decided<T extends AggregateType>(
  projection: Projection,
  ref: AggregateRef<T>,
  command: CommandOf<T>,
  now: string,
): Promise<never> {
  const { initial, decide } = aggregateOf(ref.aggregate);
  const folded = projection.folded(ref);
  const { region, account, id } = ref;
  decide(command, folded?.state ?? initial, { region, account, id, now: laterOf(now, folded?.time ?? '') });
  return pass();
}

/** As it was when the call was made, if that was asked then; the records say no more of it. */
const usesOf = ({ eventTime, decisionInput }: RecordedCall): NonNullable<Call['uses']> => ({
  of() {
    const days = decisionInput?.trailingDaysWithoutKeyUsage;
    if (days === undefined) throw new NotDecidable('when the key had last been used then was not asked');
    const time = Date.parse(eventTime) / 1000 - days * DAY_SECONDS;
    const noCall = { eventName: '', eventSource: '', region: '', eventId: '', requestId: null };
    return { last: { ...noCall, time } };
  },
});

/** What the document said, since the record does not have the document. */
function recipientFrom(attestation: DecisionInput['attestation']): Recipient {
  if (!attestation) throw new NotDecidable('the record does not have what an attestation document said');
  return {
    ...attestationFrom(attestation),
    get recipientKey() {
      return pass();
    },
  };
}

const auditPorts = (projection: Projection): AuditPorts => ({
  projection,
  history: { lookUp: async () => pass() },
  lastUses: { lastUse: async () => pass() },
  trailKeys: async () => pass(),
  current: async () => {},
});

const DAY_SECONDS = 86_400;
const NO_KEY = '00000000-0000-0000-0000-000000000000';

/** What a cluster was like is not in a record. */
const NO_CLUSTERS: ClusterDirectory = { cluster: () => pass() };

const controlPorts = (projection: Projection): ControlPorts => ({
  projection,
  newKeyId: () => NO_KEY,
  grantToken: async () => undefined,
  random: randomBytes,
  wasBehind: async () => false,
  revocationsSettled: async () => {},
  limits: new Limits(),
  lastUses: { lastUse: async () => pass() },
  mintManagedKey: async () => pass(),
  settleRelated: async () => {},
  runCommand: (ref, command, call) => decided(projection, ref, command, call.now),
  eraseReleased: async () => {},
  clusters: NO_CLUSTERS,
});

const dataPorts = (projection: Projection, { decisionInput }: RecordedCall): DataPorts => ({
  projection,
  recipient: () => recipientFrom(decisionInput?.attestation),
  backingKey: pass,
  loadBackingKey: pass,
  mintManagedKey: async () => pass(),
  random: pass,
  get tokens(): never {
    return pass();
  },
  systemSeconds: pass,
  accessKeys: {
    create: pass,
    runCommand: (ref, command, call) => decided(projection, ref, command, call.now),
    erase: pass,
  },
  // Of a custom key store's secret, and what is behind the store, there is nothing on record.
  keyStores: {
    cluster: async () => pass(),
    external: async () => pass(),
    storeSecret: async () => 'secret',
    eraseSecret: async () => {},
    probe: async () => {},
    runCommand: async (ref, command, call) => {
      await decided(projection, ref, command, call.now);
    },
  },
  clusters: NO_CLUSTERS,
  hsms: {
    obstacle: () => undefined,
    runCommand: async (ref, command, call) => {
      await decided(projection, ref, command, call.now);
    },
  },
  // What was imported is not on record.
  get imports(): never {
    return pass();
  },
});
