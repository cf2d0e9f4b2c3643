// Encrypts and decrypts over NATS request-reply, with a plain NATS client and the JSON of the HTTP API. The credentials
// are those of the HTTP API too: access key id and secret are user and password.
//   KEYTRAIL_DATA_DIR=./data node examples/nats-client.mjs
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'nats';

const dataDir = process.env.KEYTRAIL_DATA_DIR ?? 'data';
const account = process.env.KEYTRAIL_ACCOUNT_ID ?? '000000000000';
const region = process.env.AWS_REGION ?? 'us-east-1';
const principal = 'root';

const { url } = JSON.parse(readFileSync(join(dataDir, 'nats/endpoint.json'), 'utf8'));
const credentials = readFileSync(join(dataDir, 'aws/credentials'), 'utf8');
const [user, pass] = ['aws_access_key_id', 'aws_secret_access_key'].map(
  (name) => new RegExp(`^${name} = (.*)$`, 'm').exec(credentials)?.[1],
);

// A principal may listen below its own inbox only, so that nobody reads another's replies.
const nats = await connect({ servers: url, user, pass, inboxPrefix: `_INBOX_c.${account}.${principal}` });

async function kms(operation, input) {
  const subject = `kms.req.${region}.${account}.${principal}.${operation}`;
  const reply = await nats.request(subject, JSON.stringify(input), { timeout: 10_000 });
  const output = reply.json();
  if (reply.headers?.get('Keytrail-Error')) throw new Error(`${output.__type}: ${output.message}`);
  return output;
}

try {
  const { KeyMetadata } = await kms('CreateKey', { Description: 'made over NATS' });
  const context = { EncryptionContext: { order: '42' } };
  const { CiphertextBlob } = await kms('Encrypt', {
    KeyId: KeyMetadata.KeyId,
    Plaintext: Buffer.from('hello over NATS').toString('base64'),
    ...context,
  });
  const { Plaintext } = await kms('Decrypt', { CiphertextBlob, ...context });
  console.log(Buffer.from(Plaintext, 'base64').toString());
} finally {
  await nats.drain();
}
