import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DescribeKeyCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { clientsOf } from './support/identities';
import { freePort, startNats, type TestNats, until } from './support/nats-server';
import { OtlpReceiver, type ReceivedSpan } from './support/otlp-receiver';
import { type AppProcess, startApp } from './support/processes';

const ROOT = { accessKeyId: 'AKIAROOT', secretAccessKey: 'the-secret-of-root' };
const ROOT_KEY = randomBytes(32).toString('base64');

let dataDir: string;
let nats: TestNats;
let receiver: OtlpReceiver;
let kms: KMSClient;
const apps: AppProcess[] = [];

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-tracing-'));
  receiver = await OtlpReceiver.start();
  nats = await startNats();
  const port = await freePort();
  const start = (app: string): Promise<AppProcess> =>
    startApp(app, nats.url, {
      KEYTRAIL_DATA_DIR: join(dataDir, app),
      KEYTRAIL_ROOT_KEY: ROOT_KEY,
      KEYTRAIL_ROOT_ACCESS_KEY_ID: ROOT.accessKeyId,
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: ROOT.secretAccessKey,
      KEYTRAIL_PORT: String(port),
      KEYTRAIL_LEASE_MS: '500',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    });
  apps.push(await start('key-manager'));
  apps.push(...(await Promise.all([start('crypto-worker'), start('gateway')])));
  kms = clientsOf(`http://127.0.0.1:${port}`, ROOT).kms;
  // As a program with traces of its own would, before the request is signed.
  kms.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: object }).headers, { traceparent: parent });
      return next(args);
    },
    { step: 'build' },
  );
}, 60_000);

afterAll(async () => {
  await Promise.all(apps.map((app) => app.stop()));
  await receiver?.stop();
  await nats?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** The span of the program that asks, which is in a trace of its own. */
const CALLER = '00f067aa0ba902b7';
/** What ends last of a request. */
const EDGE = 'the edge';
let parent: string;

/** Runs it in a trace of its own; resolves with the spans once the edge's, which ends last, has come. */
async function inTrace<T>(
  run: () => Promise<T>,
  awaited: readonly string[],
): Promise<{ result: T; spans: ReceivedSpan[] }> {
  const traceId = randomBytes(16).toString('hex');
  parent = `00-${traceId}-${CALLER}-01`;
  const result = await run();
  const has = (name: string): boolean =>
    receiver.ofTrace(traceId).some((span) => (name === EDGE ? span.parentSpanId === CALLER : span.name === name));
  await until(
    () => awaited.every(has),
    `of ${awaited} there were only ${receiver.ofTrace(traceId).map(({ name }) => name)}`,
  );
  return { result, spans: receiver.ofTrace(traceId) };
}

/** Each span as `service: name`, from the outermost in to the one named. */
function wayTo(spans: ReceivedSpan[], name: string): string[] {
  const way: string[] = [];
  let span = spans.find((one) => one.name === name);
  for (; span; span = spans.find((one) => one.spanId === span!.parentSpanId))
    way.unshift(`${span.service}: ${span.name}`);
  return way;
}

test('a request is one trace, over all processes that have a part in it', async () => {
  const { result, spans: created } = await inTrace(
    () => kms.send(new CreateKeyCommand({ Description: 'a-telling-description' })),
    [EDGE, 'event log append', 'hsm wrap', 'audit commit', 'operation'],
  );
  const control = ['keytrail-gateway: CreateKey', 'keytrail-gateway: dispatch', 'keytrail-key-manager: CreateKey'];
  const operation = [...control, 'keytrail-key-manager: dispatch', 'keytrail-key-manager: operation'];
  expect(wayTo(created, 'event log append')).toEqual([...operation, 'keytrail-key-manager: event log append']);
  expect(wayTo(created, 'hsm wrap')).toEqual([
    ...operation,
    'keytrail-crypto-worker: NATS kms.int.material.create',
    'keytrail-crypto-worker: hsm wrap',
  ]);
  expect(wayTo(created, 'audit commit')).toEqual([
    ...control,
    'keytrail-key-manager: dispatch',
    'keytrail-key-manager: audit commit',
  ]);
  const edge = created.find(({ parentSpanId }) => parentSpanId === CALLER)!;
  expect(edge.name).toBe('CreateKey');
  expect(edge.attributes).toEqual({
    'http.request.method': 'POST',
    'http.response.status_code': 200,
    'keytrail.operation': 'CreateKey',
    'keytrail.request_id': result.$metadata.requestId,
  });

  const KeyId = result.KeyMetadata!.KeyId!;
  const Plaintext = Buffer.from('a-telling-plaintext');
  const EncryptionContext = { 'telling-name': 'telling-value' };
  const { spans: encrypted } = await inTrace(
    () => kms.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext })),
    [EDGE, 'operation', 'audit commit'],
  );
  expect(wayTo(encrypted, 'operation')).toEqual([
    'keytrail-gateway: Encrypt',
    'keytrail-gateway: dispatch',
    'keytrail-crypto-worker: Encrypt',
    'keytrail-crypto-worker: dispatch',
    'keytrail-crypto-worker: operation',
  ]);
  const told = [
    ...['a-telling-plaintext', Plaintext.toString('base64'), 'telling-name', 'telling-value', 'a-telling-description'],
    ...[ROOT.accessKeyId, ROOT.secretAccessKey, ROOT_KEY, KeyId, '000000000000'],
  ];
  for (const secret of told) expect(receiver.received).not.toContain(secret);
});

test('a refusal is told by its code, and not by what was asked for', async () => {
  const { spans } = await inTrace(
    () => kms.send(new DescribeKeyCommand({ KeyId: 'alias/telling-alias' })).catch((error: Error) => error.name),
    [EDGE, 'operation'],
  );
  const outcomes = spans
    .map(({ attributes }) => attributes['keytrail.outcome'])
    .filter((outcome) => outcome !== undefined);
  expect(outcomes).toEqual(['NotFoundException', 'NotFoundException']);
  expect(receiver.received).not.toContain('telling-alias');
});
