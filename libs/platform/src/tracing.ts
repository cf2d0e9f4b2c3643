import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapSetter,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Msg, type MsgHdrs, headers as natsHeaders } from 'nats';

// OpenTelemetry's traces, as far as a request meets them. Off, each of these is one comparison. No attribute holds anything of a
// request but the name of its operation, its id and how it ended: see tracing-exporter.ts for what is done with them.

let tracer: Tracer | undefined;

/** To be called by whoever has set up where spans go. */
export function traceWith(found: Tracer | undefined): void {
  tracer = found;
}

export const isTracing = (): boolean => tracer !== undefined;

/** Runs it in a span of its own, a child of the one around it. */
export function traced<T>(name: string, attributes: Attributes, run: () => T, kind?: SpanKind): T {
  return tracer === undefined ? run() : spanned(tracer, name, { attributes, kind }, context.active(), run);
}

/** An HTTP request in a span that ends with its reply, in the trace that its `traceparent` (W3C) names. */
export function tracedHttp(request: FastifyRequest, reply: FastifyReply, run: () => void): void {
  if (tracer === undefined) {
    run();
    return;
  }
  const around = propagation.extract(ROOT_CONTEXT, request.headers, FROM_HTTP);
  const attributes = { 'http.request.method': request.method };
  const span = tracer.startSpan(`HTTP ${request.method}`, { kind: SpanKind.SERVER, attributes }, around);
  reply.raw.once('close', () => {
    const { statusCode, writableFinished } = reply.raw;
    span.setAttribute('http.response.status_code', statusCode);
    if (!writableFinished || statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  });
  context.with(trace.setSpan(around, span), run);
}

/** A request over NATS in a span that ends with its answer, in the trace that its headers name. */
export function tracedMessage<T>(subscription: string, message: Msg, run: () => T): T {
  if (tracer === undefined) return run();
  const around = traceAround(message);
  // The subscription, since a subject names account and principal.
  const attributes = { 'messaging.system': 'nats', 'messaging.destination.template': subscription };
  return spanned(tracer, `NATS ${subscription}`, { kind: SpanKind.SERVER, attributes }, around, run);
}

/** None for headers that cannot be read: whoever answers the request says so. */
function traceAround(message: Msg): Context {
  try {
    return propagation.extract(ROOT_CONTEXT, message.headers, FROM_NATS);
  } catch {
    return ROOT_CONTEXT;
  }
}

/** The headers of a request over NATS, with the trace that it belongs to. */
export function withTrace(headers: MsgHdrs | undefined): MsgHdrs | undefined {
  if (tracer === undefined) return headers;
  const sent = headers ?? natsHeaders();
  propagation.inject(context.active(), sent, TO_NATS);
  return sent;
}

/** Says in the span around, which began before it was known, what the request is. */
export function nameTrace(operation: string, requestId: string): void {
  if (tracer === undefined) return;
  const span = trace.getActiveSpan();
  span?.updateName(operation);
  span?.setAttributes({ 'keytrail.operation': operation, 'keytrail.request_id': requestId });
}

/** How it came out, in the span around. */
export function endTrace(outcome: string): void {
  if (tracer !== undefined) trace.getActiveSpan()?.setAttribute('keytrail.outcome', outcome);
}

/** What a log line says of the trace that it belongs to. */
export function traceOfLine(): object {
  const span = tracer === undefined ? undefined : trace.getActiveSpan();
  if (!span) return {};
  const { traceId, spanId } = span.spanContext();
  return { trace_id: traceId, span_id: spanId };
}

function spanned<T>(
  by: Tracer,
  name: string,
  options: { attributes: Attributes; kind?: SpanKind | undefined },
  around: Context,
  run: () => T,
): T {
  const { attributes, kind = SpanKind.INTERNAL } = options;
  const span = by.startSpan(name, { attributes, kind }, around);
  try {
    const result = context.with(trace.setSpan(around, span), run);
    if (!(result instanceof Promise)) {
      span.end();
      return result;
    }
    // The span ends with it; whoever runs it gets the promise as it is.
    result.then(
      () => span.end(),
      (error: unknown) => fail(span, error),
    );
    return result;
  } catch (error) {
    fail(span, error);
    throw error;
  }
}

/** The kind of failure alone: a message may quote what was asked. */
function fail(span: Span, error: unknown): void {
  const kind = error instanceof Error ? ((error as { code?: unknown }).code ?? error.name) : 'Error';
  span.setAttribute('error.type', String(kind));
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

const FROM_HTTP: TextMapGetter<FastifyRequest['headers']> = {
  get: (carrier, key) => carrier[key],
  keys: (carrier) => Object.keys(carrier),
};

const FROM_NATS: TextMapGetter<MsgHdrs | undefined> = {
  get: (carrier, key) => carrier?.get(key) || undefined,
  keys: (carrier) => carrier?.keys() ?? [],
};

const TO_NATS: TextMapSetter<MsgHdrs> = { set: (carrier, key, value) => carrier.set(key, value) };
