import type { OpenPart } from './record';

/** The operations that are a use of a key. Source: AWS KMS API model, KeyLastUsageTrackingOperation. */
export const TRACKED_OPERATIONS = [
  'Decapsulate',
  'Decrypt',
  'DeriveSharedSecret',
  'Encapsulate',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateMac',
  'ReEncrypt',
  'Sign',
  'Verify',
  'VerifyMac',
] as const;
export type TrackedOperation = (typeof TRACKED_OPERATIONS)[number];

/** What was used: `id` is the ARN of a key, or the id of an access key. */
export interface Used {
  kind: UsedKind;
  id: string;
}
export type UsedKind = 'key' | 'access-key';

const isTracked = (operation: string): boolean => (TRACKED_OPERATIONS as readonly string[]).includes(operation);

/** Long-term access keys; what begins with ASIA is of a session. */
const LONG_TERM = /^AKIA/;

/**
 * Pure. What a record says was used. A key by what succeeded alone; an access key by every call that it is known to have
 * signed, whatever came of it.
 */
export function usedIn({ eventSource, eventName, errorCode, resources = [], userIdentity }: OpenPart): Used[] {
  const used: Used[] = [];
  if (eventSource === 'kms.amazonaws.com' && errorCode === undefined && isTracked(eventName)) {
    for (const { type, ARN } of resources) if (type === 'AWS::KMS::Key') used.push({ kind: 'key', id: ARN });
  }
  const { type, accessKeyId } = userIdentity;
  if ((type === 'IAMUser' || type === 'Root') && accessKeyId !== undefined && LONG_TERM.test(accessKeyId)) {
    used.push({ kind: 'access-key', id: accessKeyId });
  }
  return used;
}
