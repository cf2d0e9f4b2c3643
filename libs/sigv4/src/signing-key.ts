import { createHmac } from 'node:crypto';
import { TERMINATOR } from './canonical-request';

/**
 * The key that signs for one day (`yyyymmdd`), region and service: 32 bytes. Whoever holds it can sign within that scope
 * and no further, and cannot get back to the secret.
 * Source: AWS IAM User Guide, "Create a signed AWS API request", "Derive a signing key".
 */
export function deriveSigningKey(secret: string, date: string, region: string, service: string): Buffer {
  const dateKey = hmac(`AWS4${secret}`, date);
  const regionKey = hmac(dateKey, region);
  const serviceKey = hmac(regionKey, service);
  return hmac(serviceKey, TERMINATOR);
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text, 'utf8').digest();
