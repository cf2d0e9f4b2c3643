import fastify from 'fastify';
import { connect } from 'nats';

/** The floors that the bench compares with: a bare Fastify echo, or a bare NATS echo. */
async function main(): Promise<void> {
  if (process.env['BENCH_NATS'] !== undefined) {
    const nats = await connect({
      servers: process.env['BENCH_NATS'],
      ...(process.env['BENCH_USER'] === undefined ? {} : { user: process.env['BENCH_USER'] }),
      ...(process.env['BENCH_PASSWORD'] === undefined ? {} : { pass: process.env['BENCH_PASSWORD'] }),
    });
    nats.subscribe('bench.echo', { callback: (_error, message) => void message.respond(message.data) });
    return;
  }
  const http = fastify();
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  http.get('/', (_request, reply) => reply.send('{}'));
  http.post('/', (request, reply) => reply.header('Content-Type', 'application/x-amz-json-1.1').send(request.body));
  await http.listen({ port: Number(process.env['BENCH_PORT']), host: '127.0.0.1' });
}

void main();
