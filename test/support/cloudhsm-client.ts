import { signRequest } from '#sigv4/sign';
import type { Credentials } from './identities';
import { observeReply } from './observed-errors';

/** As AWS's SDK rejects. */
export class CloudHsmError extends Error {
  constructor(
    override readonly name: string,
    message: string,
    readonly $metadata: { requestId: string },
  ) {
    super(message);
  }
}

/** Speaks to AWS CloudHSM V2 as its SDK does, which is not among the packages of this project. */
export async function askCloudHsm(
  endpoint: string,
  credentials: Credentials,
  operation: string,
  input: object,
): Promise<Record<string, unknown> & { $metadata: { requestId: string } }> {
  const body = Buffer.from(JSON.stringify(input));
  const headers = signRequest({
    ...credentials,
    ...{ region: 'us-east-1', service: 'cloudhsm', timeMs: Date.now(), method: 'POST', path: '/' },
    headers: {
      host: new URL(endpoint).host,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `BaldrApiService.${operation}`,
      'user-agent': 'aws-sdk-js/none',
    },
    body,
  });
  const response = await fetch(endpoint, { method: 'POST', headers, body });
  const text = await response.text();
  const $metadata = { requestId: response.headers.get('x-amzn-requestid')! };
  const reply = JSON.parse(text === '' ? '{}' : text) as Record<string, unknown>;
  observeReply(operation, Buffer.from(text === '' ? '{}' : text));
  if (response.ok) return { ...reply, $metadata };
  throw new CloudHsmError(String(reply['__type']), String(reply['message'] ?? ''), $metadata);
}
