import { createHash } from 'node:crypto';

/** A log file as a digest names it. Times are those of its events: `2026-11-25T04:05:06Z`. */
export interface TrailLogFile {
  s3Bucket: string;
  s3Object: string;
  /** Hex SHA-256 of the file before it was compressed. */
  hashValue: string;
  hashAlgorithm: 'SHA-256';
  newestEventTime: string;
  oldestEventTime: string;
}

/** What a digest says of the one before it. */
export interface PreviousDigest {
  bucket: string;
  key: string;
  /** Hex SHA-256 of that file before it was compressed. */
  hash: string;
  /** Hex. */
  signature: string;
}

/** Source: AWS CloudTrail User Guide, "CloudTrail digest file structure". */
export interface TrailDigest {
  awsAccountId: string;
  digestStartTime: string;
  digestEndTime: string;
  digestS3Bucket: string;
  digestS3Object: string;
  digestPublicKeyFingerprint: string;
  digestSignatureAlgorithm: typeof SIGNATURE_ALGORITHM;
  newestEventTime: string | null;
  oldestEventTime: string | null;
  previousDigestS3Bucket: string | null;
  previousDigestS3Object: string | null;
  previousDigestHashValue: string | null;
  previousDigestHashAlgorithm: 'SHA-256' | null;
  previousDigestSignature: string | null;
  logFiles: readonly TrailLogFile[];
}

export const SIGNATURE_ALGORITHM = 'SHA256withRSA';

export interface DigestOf {
  account: string;
  /** Seconds: `2026-11-25T04:00:00Z`. The log files are those delivered between the two. */
  start: string;
  end: string;
  bucket: string;
  key: string;
  /** Hex, of the public key. */
  fingerprint: string;
  /** Null of a starting digest. */
  previous: PreviousDigest | null;
  logFiles: readonly TrailLogFile[];
}

/** Pure. */
export function trailDigest(of: DigestOf): TrailDigest {
  const { previous, logFiles } = of;
  const newest = logFiles.map(({ newestEventTime }) => newestEventTime).sort();
  const oldest = logFiles.map(({ oldestEventTime }) => oldestEventTime).sort();
  return {
    awsAccountId: of.account,
    digestStartTime: of.start,
    digestEndTime: of.end,
    digestS3Bucket: of.bucket,
    digestS3Object: of.key,
    digestPublicKeyFingerprint: of.fingerprint,
    digestSignatureAlgorithm: SIGNATURE_ALGORITHM,
    newestEventTime: newest.at(-1) ?? null,
    oldestEventTime: oldest[0] ?? null,
    previousDigestS3Bucket: previous?.bucket ?? null,
    previousDigestS3Object: previous?.key ?? null,
    previousDigestHashValue: previous?.hash ?? null,
    previousDigestHashAlgorithm: previous && 'SHA-256',
    previousDigestSignature: previous?.signature ?? null,
    logFiles,
  };
}

/** What a digest's signature is over, but for the form. */
export interface SignedParts {
  end: string;
  bucket: string;
  key: string;
  /** Hex SHA-256 of the digest before it was compressed. */
  hash: string;
  previousSignature: string | null;
}

/**
 * The string whose SHA-256 is signed. Source: AWS CloudTrail User Guide, "Custom implementations of CloudTrail log file integrity
 * validation"; `null` of a starting digest as the AWS CLI verifies it.
 */
export const dataToSign = ({ end, bucket, key, hash, previousSignature }: SignedParts): string =>
  `${end}\n${bucket}/${key}\n${hash}\n${previousSignature ?? 'null'}`;

/** As CloudTrail makes it of a public key: hex MD5 of its PKCS #1 DER, which the published example of ListPublicKeys bears out. */
export const keyFingerprint = (pkcs1: Uint8Array): string => createHash('md5').update(pkcs1).digest('hex');

export const hexSha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
