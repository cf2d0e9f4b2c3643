import type { AggregateType, CommandOf, EventOf } from '#domain/aggregates';
import type { AggregateRef } from '#domain/subjects';
import type { CommandResult } from '#event-store/run-command';
import type { BackingKey } from '#hsm/backing-key';
import type { Projection } from '#views/projection';
import type { QuotaClass } from './quotas/quota-classes';
import type { RequestClass } from './wire/decode';

/** Who calls, as authenticated: by signature over HTTP, by the NATS server's permissions over NATS. */
export interface Caller {
  region: string;
  account: string;
  principalId: string;
  principalArn: string;
}

export interface Call {
  caller: Caller;
  requestId: string;
  operation: string;
  /** ISO 8601, from the clock. */
  now: string;
}

/** What control operations may use. */
export interface ControlPorts {
  projection: Projection;
  newKeyId(): string;
  /** Whether the log held more than this process had folded in; resolves once it has. */
  wasBehind(): Promise<boolean>;
  /** Decides the command and appends its events. Returns once they are in `projection` and, if they revoke, in every worker. */
  runCommand<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    call: Call,
  ): Promise<CommandResult<EventOf<T>>>;
}

/** What data operations may use. They read no history. */
export interface DataPorts {
  projection: Projection;
  /** Throws while this process may not serve: it has lost touch with the log, and knows no more what is allowed. */
  assertMayServe(): void;
  /** The backing key from memory. Throws MaterialNotLoaded otherwise, on which run-operation loads it and begins again. */
  backingKey(keyArn: string, materialId: string): BackingKey;
  loadBackingKey(keyArn: string, materialId: string): Promise<void>;
  /** Fresh random bytes, never handed out twice. */
  random(length: number): Buffer;
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
}

interface Common<I extends object> {
  /** AWS's name of it; routing, subjects, metrics and the IAM action derive from it. */
  name: string;
  request: RequestClass<I>;
  /** With which it shares a request quota; absent for the default of its plane. See quotas/quota-classes.ts. */
  quotaClass?: QuotaClass;
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

export type Operation = ControlOperation | DataOperation;

/** Cryptographic operations share a quota, management operations have one each. */
export const quotaClassOf = ({ quotaClass, plane, name }: Operation): string =>
  quotaClass ?? (plane === 'data' ? 'symmetric' : name);

export const iamAction = (operation: Operation): string => `kms:${operation.name}`;

/** Declares a control operation; the types of request and reply are checked here and erased for the table. */
export const control = <I extends object, O>(operation: Omit<ControlOperation<I, O>, 'plane'>): ControlOperation =>
  ({ plane: 'control', ...operation }) as unknown as ControlOperation;

/** Declares a data operation. */
export const data = <I extends object, O>(operation: Omit<DataOperation<I, O>, 'plane'>): DataOperation =>
  ({ plane: 'data', ...operation }) as unknown as DataOperation;
