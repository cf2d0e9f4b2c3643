import { type AnsweredCall, callRecord } from '#operations/audit/call-record';
import type { Recorder } from '#operations/audit/recorder';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/operation-reply';

/** The reply, once the call is on record; a refusal in its place where that cannot be known. Never rejects. */
export async function recordedReply(
  recorder: Recorder,
  call: AnsweredCall,
  observe: ErrorObserver,
): Promise<OperationReply> {
  try {
    await recorder.write(() => callRecord(call));
    return call.reply;
  } catch (error) {
    return errorReply(error, { operation: call.operation.name, requestId: call.requestId }, observe);
  }
}
