import { SpanKind } from '@opentelemetry/api';
import type { Recorder } from '#operations/audit/recorder';
import type { OperationReply } from '#operations/operation-reply';
import type { Dispatcher } from './dispatcher';
import { endTrace, isTracing, nameTrace, traced } from './tracing';

// Without tracing each gives back what it was given: nothing is added on the way of a request.

/** In the trace of each request: what it is, and how long whoever runs it took. `kind`: CLIENT where that is another process. */
export function tracedDispatcher(dispatcher: Dispatcher, kind: SpanKind.CLIENT | SpanKind.INTERNAL): Dispatcher {
  if (!isTracing()) return dispatcher;
  const ended = (reply: OperationReply): OperationReply => {
    endTrace(reply.error ?? 'OK');
    return reply;
  };
  return {
    dispatch(operation, body, claim, requestId) {
      nameTrace(operation.name, requestId);
      const attributes = { 'keytrail.operation': operation.name, 'keytrail.request_id': requestId };
      const run = (): OperationReply | Promise<OperationReply> => {
        const reply = dispatcher.dispatch(operation, body, claim, requestId);
        return reply instanceof Promise ? reply.then(ended) : ended(reply);
      };
      return traced('dispatch', attributes, run, kind);
    },
  };
}

/** In the trace of each request: how long it waited until its record was durable. */
export function tracedRecorder(recorder: Recorder): Recorder {
  if (!isTracing()) return recorder;
  return {
    admit: () => recorder.admit(),
    write: (make) => traced('audit commit', {}, () => recorder.write(make)),
  };
}
