import { createHmac } from 'node:crypto';

const hmac = (key: string | Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text, 'utf8').digest();

/** The key that signs for one day, region and service (AWS General Reference, "Signing AWS API requests"). `date` is yyyymmdd. */
export const deriveSigningKey = (secret: string, date: string, region: string, service: string): Buffer =>
  hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request');
