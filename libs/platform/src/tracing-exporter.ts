import { DiagLogLevel, diag, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { Logger } from 'pino';
import { settledWithin } from './bounded-wait';
import { traceWith } from './tracing';

const FLUSH_MS = 2_000;

/**
 * Sends spans over OTLP/HTTP to where OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT, ..._HEADERS,
 * OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_*). For the whole process. What cannot be sent is dropped and logged.
 */
export function startTracing(service: string, log: Logger): { stop(): Promise<void> } {
  const say = (level: 'error' | 'warn') => (reason: string) => log[level]({ reason }, 'traces cannot be sent');
  const quiet = (): void => {};
  diag.setLogger(
    { error: say('error'), warn: say('warn'), info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': `keytrail-${service}`, 'process.pid': process.pid }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  provider.register();
  traceWith(trace.getTracer('keytrail'));
  return {
    async stop() {
      traceWith(undefined);
      // A receiver that does not answer keeps nobody from stopping.
      await settledWithin(FLUSH_MS, provider.shutdown());
    },
  };
}
