import type { CallerClaim } from '#operations/caller';
import type { Operation } from '#operations/operation';
import type { OperationReply } from '#operations/operation-reply';

/** Where an authenticated request goes. Two adapters: LocalDispatcher, in this process, and NatsDispatcher. Never throws or rejects. */
export interface Dispatcher {
  dispatch(
    operation: Operation,
    body: Uint8Array,
    claim: CallerClaim,
    requestId: string,
  ): OperationReply | Promise<OperationReply>;
}
