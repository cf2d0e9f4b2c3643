import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { headers, type Msg } from 'nats';
import { KmsError } from '#domain/errors';
import type { Recorder } from '#operations/audit/recorder';
import type { Dispatcher } from './dispatcher';
import { tracedDispatcher, tracedRecorder } from './traced-ports';
import { isTracing, traced, tracedMessage, traceOfLine, traceWith, withTrace } from './tracing';

describe('with tracing off', () => {
  test('nothing stands between a request and who answers it', async () => {
    const dispatcher: Dispatcher = { dispatch: () => ({ body: '{}', status: 200 }) };
    const recorder: Recorder = { admit: () => {}, write: async () => {} };
    expect(isTracing()).toBe(false);
    expect(tracedDispatcher(dispatcher, SpanKind.INTERNAL)).toBe(dispatcher);
    expect(tracedRecorder(recorder)).toBe(recorder);
    const result = Promise.resolve(1);
    expect(traced('span', {}, () => result)).toBe(result);
    expect(traceOfLine()).toEqual({});
  });

  test('no header is added to what goes over NATS', () => {
    const sent = headers();
    expect(withTrace(sent)).toBe(sent);
    expect([...sent.keys()]).toEqual([]);
    expect(withTrace(undefined)).toBeUndefined();
  });

  test("OpenTelemetry's SDK is not even loaded", () => {
    const program = join(__dirname, '../../../dist/libs/platform/src/run-service.js');
    const script = `require(${JSON.stringify(program)}); console.log(Object.keys(require.cache).join('\\n'))`;
    const loaded = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect(loaded).toContain('/platform/src/tracing.js');
    expect(loaded).not.toMatch(/opentelemetry\/(sdk|exporter|resources)/);
  });
});

test('a message whose headers cannot be read is answered all the same', () => {
  const message = {
    get headers(): never {
      throw new Error('no header');
    },
  } as unknown as Msg;
  traceWith(new BasicTracerProvider().getTracer('test'));
  try {
    expect(tracedMessage('kms.req', message, () => 'answered')).toBe('answered');
  } finally {
    traceWith(undefined);
  }
});

test('a span says what kind of failure ended it, and nothing of the message, which may quote a request', async () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  traceWith(provider.getTracer('test'));
  try {
    const refused = new KmsError('NotFoundException', 'a telling message');
    await expect(traced('later', {}, () => Promise.reject(refused))).rejects.toBe(refused);
    const broken = (): never => {
      throw new TypeError('a telling message');
    };
    expect(() => traced('at once', {}, broken)).toThrow(TypeError);
    const told = exporter.getFinishedSpans().map(({ name, attributes, status, events }) => ({
      ...{ name, attributes, status },
      events: events.length,
    }));
    const status = { code: SpanStatusCode.ERROR };
    expect(told).toEqual([
      { name: 'later', attributes: { 'error.type': 'NotFoundException' }, status, events: 0 },
      { name: 'at once', attributes: { 'error.type': 'TypeError' }, status, events: 0 },
    ]);
  } finally {
    traceWith(undefined);
  }
});
