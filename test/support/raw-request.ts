import { signRequest } from '#sigv4/sign';
import { observeReply } from './observed-errors';
import type { KeytrailProcess } from './processes';

/** A KMS request without any client in between: the body of the reply, byte for byte. */
export async function rawReply(server: KeytrailProcess, operation: string, input: object | Buffer): Promise<Buffer> {
  const { accessKeyId, secretAccessKey } = await server.kms.config.credentials();
  const body = Buffer.isBuffer(input) ? input : Buffer.from(JSON.stringify(input));
  const headers = signRequest({
    accessKeyId,
    secretAccessKey,
    region: await server.kms.config.region(),
    service: 'kms',
    timeMs: Date.now(),
    method: 'POST',
    path: '/',
    headers: {
      host: new URL(server.endpoint).host,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `TrentService.${operation}`,
    },
    body,
  });
  const reply = Buffer.from(await (await fetch(server.endpoint, { method: 'POST', headers, body })).arrayBuffer());
  observeReply(operation, reply);
  return reply;
}
