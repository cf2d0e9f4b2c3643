import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { TrailDigest } from '#audit-log/trail-digest';
import { metadataFile } from '#platform/trail-files/trail-writer';
import { objectsIn } from './trail-bucket';

export interface WrittenRecord extends Record<string, unknown> {
  eventID: string;
  eventName: string;
  requestID?: string;
}

export interface CheckedTrail {
  /** Of one account and region, in the order of their files. */
  records: WrittenRecord[];
  /** Oldest first. */
  digests: TrailDigest[];
  /** Those that no digest names yet. */
  undigested: string[];
}

export const unpacked = (folder: string, key: string): Buffer => gunzipSync(readFileSync(join(folder, key)));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * The files of one account and region: no record twice, a chain of digests from the newest to a starting one that misses
 * none, each signed, and every log file as one of them says, or in none yet. Throws what it finds. Written after the AWS
 * CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity validation", and not after the code.
 */
export function checkedTrail(
  folder: string,
  publicKey: Uint8Array,
  account: string,
  region = 'us-east-1',
): CheckedTrail {
  const of = (kind: string): string[] =>
    objectsIn(folder).filter((key) => key.startsWith(`AWSLogs/${account}/${kind}/${region}/`));
  const logFiles = of('CloudTrail');
  const records = logFiles.flatMap((key) => JSON.parse(unpacked(folder, key).toString()).Records as WrittenRecord[]);
  const seen = new Set<string>();
  for (const { eventID, eventName } of records) {
    if (seen.has(eventID)) throw new Error(`${eventName} ${eventID} is twice in the files of ${account}`);
    seen.add(eventID);
  }
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'pkcs1' });
  const left = new Set(of('CloudTrail-Digest'));
  const named = new Set<string>();
  const digests: TrailDigest[] = [];
  let at = [...left].at(-1);
  let signature = at && metadataOf(folder, at)['signature'];
  while (at && signature) {
    if (!left.delete(at)) throw new Error(`the chain comes to ${at}, which is not there`);
    const content = unpacked(folder, at);
    const digest = JSON.parse(content.toString('utf8')) as TrailDigest;
    const previous = digest.previousDigestSignature ?? 'null';
    const signed = `${digest.digestEndTime}\n${digest.digestS3Bucket}/${at}\n${sha256(content)}\n${previous}`;
    if (!verify('sha256', Buffer.from(signed), key, Buffer.from(signature, 'hex')))
      throw new Error(`${at} is not signed`);
    if (metadataOf(folder, at)['signature'] !== signature)
      throw new Error(`${at} has another signature than was chained`);
    for (const { s3Object, hashValue } of digest.logFiles) {
      if (named.has(s3Object)) throw new Error(`${s3Object} is in two digests`);
      named.add(s3Object);
      if (sha256(unpacked(folder, s3Object)) !== hashValue) throw new Error(`${s3Object} is not as its digest says`);
    }
    digests.unshift(digest);
    at = digest.previousDigestS3Object ?? undefined;
    signature = digest.previousDigestSignature ?? undefined;
    if (at && sha256(unpacked(folder, at)) !== digest.previousDigestHashValue)
      throw new Error(`${at} is not the one before`);
  }
  if (left.size > 0) throw new Error(`in no chain: ${[...left].join(', ')}`);
  for (const [nth, { digestStartTime }] of digests.entries()) {
    const before = digests[nth - 1]?.digestEndTime;
    if (before !== undefined && before !== digestStartTime)
      throw new Error(`a gap between ${before} and ${digestStartTime}`);
  }
  return { records, digests, undigested: logFiles.filter((file) => !named.has(file)) };
}

const metadataOf = (folder: string, key: string): Record<string, string> =>
  JSON.parse(readFileSync(metadataFile(join(folder, key)), 'utf8'));
