import { KMSClient } from '@aws-sdk/client-kms';
import type { KeytrailProcess } from './processes';

/** The server's client in another region: one attempt a request, as its own. */
export const kmsIn = (region: string, { endpoint, kms }: KeytrailProcess): KMSClient =>
  new KMSClient({ endpoint, region, maxAttempts: 1, credentials: kms.config.credentials });
