import type { RecipientInfo } from '@aws-sdk/client-kms';
import type { ImportClaims, OpenedImportToken } from '#crypto/import-token';
import type { CheckedMaterial } from '#crypto/imported-material';
import type { TokenIssuer } from '#crypto/signed-token';
import type { AggregateType, CommandOf, EventOf } from '#domain/aggregates';
import type { ClusterReport, CreateHsm } from '#domain/cluster/decide';
import type { StoreReport } from '#domain/custom-key-store/decide';
import type { KeySpec } from '#domain/key/key-kinds';
import type { KeyVersion } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import type { CommandResult } from '#event-store/run-command';
import type { BackingKey } from '#hsm/backing-key';
import type { Projection } from '#views/projection';
import type { EventHistory, TrailPublicKey } from './audit/event-history';
import type { Trail } from './audit/trail';
import type { Caller } from './caller';
import type { Checks } from './checks';
import type { ClusterDirectory, KeyStorePorts } from './custom-key-stores/key-store-ports';
import type { GrantTokenClaims, GrantTokenReader } from './grants/grant-tokens';
import type { Limits } from './limits';
import type { ManagedKey, MintingCause } from './managed-keys';
import type { OffLoop } from './off-loop';
import type { QuotaClass } from './quotas/quota-classes';
import type { Recipient } from './recipient';
import type { KnownUse, LastUses } from './usage/last-uses';
import type { RequestClass } from './wire/decode';

export interface Call {
  caller: Caller;
  requestId: string;
  operation: string;
  /** ISO 8601, from the clock. */
  now: string;
  /** What the request's GrantToken says, where it has one. */
  grantToken?: GrantTokenClaims | undefined;
  /** Of a control operation: what its checks are good for. Absent where no checks stand behind a command. */
  tenure?: Tenure | undefined;
  /** Of a control operation: those made so far, by which its caller is still allowed at the append. */
  checks?: Checks | undefined;
  /** Of a control operation: when the keys that it is about were last used, asked by what a policy makes depend on it. */
  uses?: { of(keyArn: string): KnownUse } | undefined;
  /** Of an operation that has another process append: the position of the view in which it was checked. */
  checkedAt?: number | undefined;
  /** What goes on record of the call; absent where no record is kept. */
  trail?: Trail | undefined;
  /** Slow work, as `OffLoop.result` has it; absent where nothing begins the call anew. */
  offLoop?: OffLoop | undefined;
  /**
   * Of a call on record that is decided again: does not return. What follows depends on what no record has, such as a message,
   * and is not what a policy, a grant or the state of a key refuses. Needed only where no material is asked for before.
   */
  beyondRecord?: (() => never) | undefined;
  /**
   * Of a cryptographic operation, where there are request quotas: counts the call in this class, unless it has been counted
   * already; `of`: one of several things that have a quota each. Throws ThrottlingException beyond the rate.
   */
  countAs?: ((quotaClass: QuotaClass, of?: string) => void) | undefined;
}

/** The right of this process to complete operations, which it has while it is in touch with the log. */
export interface Serving {
  /** Throws while this process may not serve: it has lost touch with the log, and knows no more what is allowed. */
  assertHeld(): void;
  /** As assertHeld, in one step with the checks of a control operation. To be ended, or revoking writes wait a lease. */
  begin(): Tenure;
}

/** From the checks of a control operation to the end of the append that rests on them: until then, revoking writes wait. */
export interface Tenure {
  /** Throws once a revoking write may have stopped waiting: what was checked before must not be appended any more. */
  assertNotOver(): void;
  /** What rests on the checks has been appended, or never will be. Harmless to repeat. */
  end(): void;
}

/** A call whose caller is yet to be found in the view. Found anew after each wait, in which it may have lost its rights. */
export interface UnresolvedCall extends Omit<Call, 'caller' | 'grantToken' | 'checks' | 'uses' | 'offLoop' | 'now'> {
  /** ISO 8601, from the clock: asked at each try, so that what is decided after a wait goes by the time after it. */
  now(): string;
  /** Throws UnrecognizedClientException or ExpiredTokenException. */
  resolveCaller(): Caller;
}

/** What control operations may use. */
export interface ControlPorts {
  projection: Projection;
  /** `mrk-` and 32 hex digits, of a multi-Region key. */
  newKeyId(multiRegion: boolean): string;
  /** Signs a token; undefined while nobody can. */
  grantToken(claims: GrantTokenClaims): Promise<string | undefined>;
  /** Fresh random bytes. */
  random(length: number): Buffer;
  /** Whether the log held more than this process had folded in at position `held`; resolves once it has. */
  wasBehind(held: number): Promise<boolean>;
  /** Resolves once all that this process has seen taken away is gone wherever operations are completed. */
  revocationsSettled(): Promise<void>;
  /** Of how many there may be. */
  limits: Limits;
  /** When things were last used; waited for, so only where a policy asks. */
  lastUses: LastUses;
  clusters: ClusterDirectory;
  /** Has the copies of imported material erased that the key has released. Rejects where that must wait, for its timer. */
  eraseReleased(ref: AggregateRef<'key'>, call: Call): Promise<void>;
  /** Makes an AWS managed key; returns once it is in `projection`. */
  mintManagedKey(which: ManagedKey, cause: MintingCause): Promise<void>;
  /**
   * Has the keys that are related to a multi-Region key do what a change of it asks of them. To be called once the change is
   * made; where it fails, or this process dies, a timer does it.
   */
  settleRelated(ref: AggregateRef<'key'>, call: Call): Promise<void>;
  /**
   * Decides the command and appends its events. Returns once they are in `projection` and, if they revoke, wherever
   * operations are completed. Rejects with ConflictError where somebody else came first: run-operation begins anew.
   */
  runCommand<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    call: Call,
  ): Promise<CommandResult<EventOf<T>>>;
}

/** What data operations may use. They read no history. */
export interface DataPorts {
  projection: Projection;
  /** The backing key from memory. Throws MaterialNotLoaded otherwise, on which run-operation loads it and begins again. */
  backingKey(keyArn: string, material: Pick<KeyVersion, 'materialId' | 'storedAs'>): BackingKey;
  loadBackingKey(keyArn: string, materialId: string): Promise<void>;
  /** By way of a key-manager; returns once it is in `projection`. */
  mintManagedKey(which: ManagedKey, cause: MintingCause): Promise<void>;
  /** Fresh random bytes, never handed out twice. */
  random(length: number): Buffer;
  /** Whom a response is for: see `recipientOf`. Throws WorkToDo first, and ValidationException. */
  recipient(given: RecipientInfo, call: Call): Recipient;
  /** Makes session tokens. */
  tokens: TokenIssuer;
  /** As that of ControlPorts; absent where nobody but this process appends, whose view has its own appends. */
  wasBehind?: ((held: number) => Promise<boolean>) | undefined;
  /** The system's time, by which sessions end: clients compare it with their own. */
  systemSeconds(): number;
  accessKeys: AccessKeyPorts;
  imports: ImportPorts;
  keyStores: KeyStorePorts;
  clusters: ClusterDirectory;
  hsms: HsmPorts;
}

/** What a crypto-worker may have a key-manager append, by aggregate. */
interface WorkerCommandsOf {
  principal: Extract<CommandOf<'principal'>, { type: 'CreateAccount' | 'CreateAccessKey' | 'DeleteAccessKey' }>;
  key: Extract<CommandOf<'key'>, { type: 'ImportKeyMaterial' }>;
  customKeyStore: Extract<
    CommandOf<'customKeyStore'>,
    { type: 'CreateCustomKeyStore' | 'UpdateCustomKeyStore' } | StoreReport
  >;
  cluster: CreateHsm | ClusterReport;
  root: CommandOf<'root'>;
}
export type WorkerCommandAggregate = keyof WorkerCommandsOf;
export type WorkerCommand<T extends WorkerCommandAggregate> = WorkerCommandsOf[T];

/** What it takes to make and unmake an access key, whose secret no key-manager may see. */
export interface AccessKeyPorts {
  /** Stores a new secret and gives it back: 40 characters. A crash afterwards leaves one that no event names, for the sweep. */
  create(ownerArn: string, accessKeyId: string): Promise<string>;
  /** By way of a key-manager. Returns once it is in `projection` and, if it revokes, in every worker. */
  runCommand(ref: AggregateRef<'principal'>, command: WorkerCommand<'principal'>, call: Call): Promise<void>;
  /** For good; harmless to repeat. */
  erase(accessKeyId: string): Promise<void>;
}

/** What it takes to import key material, which no key-manager may see. */
export interface ImportPorts {
  newToken(claims: ImportClaims, privateKey: Uint8Array): Buffer;
  /** Undefined for what no crypto-worker of this Keytrail made. */
  openToken(token: Uint8Array): OpenedImportToken | undefined;
  /** The same for the same material and owner. */
  materialId(ownerArn: string, material: CheckedMaterial): Promise<string>;
  /** Stores a copy, and gives back where. A crash afterwards leaves one that no event names, for the sweep. */
  store(keyArn: string, materialId: string, keySpec: KeySpec, material: Uint8Array): Promise<string>;
  /** By way of a key-manager. Returns once it is in `projection`. */
  runCommand(ref: AggregateRef<'key'>, command: WorkerCommand<'key'>, call: Call): Promise<void>;
  /** A copy, for good; harmless to repeat. */
  erase(place: string): Promise<void>;
}

/** What it takes to make an HSM of a cluster, which is on the machine of a crypto-worker. */
export interface HsmPorts {
  /** Why no HSM can be made here, as a sentence; undefined where one can. */
  obstacle(): string | undefined;
  /** By way of a key-manager. Returns once it is in `projection`. */
  runCommand(ref: AggregateRef<'cluster'>, command: CreateHsm, call: Call): Promise<void>;
}

/** What operations on the records of calls may use. */
export interface AuditPorts {
  projection: Projection;
  history: EventHistory;
  /** All keys that digests of trail files were ever signed with. */
  trailKeys(): Promise<readonly TrailPublicKey[]>;
  lastUses: LastUses;
  /** Resolves once this process's view holds all that was in the log when it was asked, so that no caller is outdated. */
  current(): Promise<void>;
}

/** Not an error: what an operation needs must come from the store first. */
export class MaterialNotLoaded extends Error {
  override readonly name = 'MaterialNotLoaded';

  constructor(
    readonly keyArn: string,
    readonly materialId: string,
  ) {
    super('material must be loaded first');
  }
}

/** The planes that a process serves. */
export interface PlanePorts {
  control?: ControlPorts | undefined;
  data?: DataPorts | undefined;
  audit?: AuditPorts | undefined;
  grantTokens: GrantTokenReader;
  serving: Serving;
}

/** AWS's services that are served, as they are called in the scope of a signature and in IAM actions. */
export type ServiceName = 'kms' | 'iam' | 'sts' | 'cloudtrail' | 'cloudhsm';

interface Common<I extends object> {
  service: ServiceName;
  /** AWS's name of it, if no other service has one of that name too; routing, subjects and metrics derive from it. */
  name: string;
  /** AWS's name of it, where another service has one of that name too. */
  awsName?: string;
  request: RequestClass<I>;
  /** With which it shares a request quota; absent for `quotaClassOf` of its plane. See quotas/quota-classes.ts. */
  quotaClass?: QuotaClass;
  /** What its record says of members that a request left out, as CloudTrail does. */
  recordedDefaults?: Readonly<Record<string, string>>;
  /** That its record says what came of it, although it changes nothing. */
  recordsReply?: true;
}

export interface ControlOperation<I extends object = object, O = unknown> extends Common<I> {
  plane: 'control';
  run(request: I, call: Call, ports: ControlPorts): O | Promise<O>;
}

export interface DataOperation<I extends object = object, O = unknown> extends Common<I> {
  plane: 'data';
  /** One synchronous step from the checks to the result, so that no change of the key's state can come between. */
  run(request: I, call: Call, ports: DataPorts): O;
}

/**
 * For what has to wait on the data plane: a secret to be stored, a key-manager to append. What must still hold after the
 * wait is decided again by whoever appends.
 */
export interface WaitingDataOperation<I extends object = object, O = unknown> extends Common<I> {
  plane: 'data';
  runAsync(request: I, call: Call, ports: DataPorts): Promise<O>;
}

/** Reads the records of calls: waits for a database, changes nothing. */
export interface AuditOperation<I extends object = object, O = unknown> extends Common<I> {
  plane: 'audit';
  lookUp(request: I, call: Call, ports: AuditPorts): Promise<O>;
}

export type Operation = ControlOperation | DataOperation | WaitingDataOperation | AuditOperation;

export const isWaiting = (operation: Operation): operation is WaitingDataOperation => 'runAsync' in operation;

/** What changes nothing. AWS counts cryptographic operations and sessions among it. */
export const isReadOnly = (operation: Operation): boolean =>
  operation.plane === 'data' ? !isWaiting(operation) : /^(Describe|Get|List|Lookup)/.test(operation.name);

/**
 * Management operations have a quota each, and cryptographic ones share those of the kinds of keys: these are counted once the
 * key is known. The operations of IAM and STS have none.
 */
export const quotaClassOf = ({
  service,
  quotaClass,
  plane,
  name,
}: Operation): string | typeof OF_THE_KEY | undefined =>
  service === 'kms' ? (quotaClass ?? (plane === 'data' ? OF_THE_KEY : name)) : undefined;

export const OF_THE_KEY = Symbol('the quota class of the key');

export const awsNameOf = ({ name, awsName = name }: Pick<Operation, 'name' | 'awsName'>): string => awsName;

export const iamAction = (operation: Operation): string => `${operation.service}:${awsNameOf(operation)}`;

/** Without a service it is one of AWS KMS. */
type Declared<T extends Operation> = Omit<T, 'plane' | 'service'> & { service?: ServiceName };

/** Declares a control operation; the types of request and reply are checked here and erased for the table. */
export const control = <I extends object, O>(operation: Declared<ControlOperation<I, O>>): ControlOperation =>
  ({ plane: 'control', service: 'kms', ...operation }) as unknown as ControlOperation;

/** Declares a data operation. */
export const data = <I extends object, O>(operation: Declared<DataOperation<I, O>>): DataOperation =>
  ({ plane: 'data', service: 'kms', ...operation }) as unknown as DataOperation;

/** Declares a data operation that waits. */
export const waitingData = <I extends object, O>(
  operation: Declared<WaitingDataOperation<I, O>>,
): WaitingDataOperation => ({ plane: 'data', service: 'kms', ...operation }) as unknown as WaitingDataOperation;

/** Declares an operation on the records of calls. */
export const audit = <I extends object, O>(operation: Declared<AuditOperation<I, O>>): AuditOperation =>
  ({ plane: 'audit', service: 'cloudtrail', ...operation }) as unknown as AuditOperation;
