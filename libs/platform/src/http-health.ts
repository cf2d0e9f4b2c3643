import type { FastifyInstance } from 'fastify';
import type { Health } from './health';
import type { Metrics } from './metrics';
import { serveTlog } from './tree-heads/tlog-http';
import type { TreeProofs } from './tree-heads/tree-proofs';

export interface HttpHealthPorts {
  metrics: Metrics;
  health: Health;
  /** Of the process that keeps the trees. */
  proofs?: TreeProofs | undefined;
}

/** Health and metrics, which every service serves; beside them the trees, where they are kept. */
export function serveHealth(http: FastifyInstance, { health, metrics, proofs }: HttpHealthPorts): void {
  if (proofs) serveTlog(http, proofs);
  http.get('/healthz', (_request, reply) => {
    const report = health.report();
    reply.code(report.status === 'ready' ? 200 : 503).send(report);
  });
  http.get('/metrics', async (_request, reply) => {
    reply.header('Content-Type', metrics.registry.contentType);
    return metrics.registry.metrics();
  });
}
