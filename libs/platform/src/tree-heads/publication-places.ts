import { parseVerifierKey, type VerifierKey } from '#audit-log/note-key';

/** A witness of C2SP tlog-witness. */
export interface WitnessPlace {
  key: VerifierKey;
  /** Its submission prefix, without a slash at the end. */
  url: string;
}

/** A bucket of S3, or of what speaks its API, addressed by path. */
export interface BucketPlace {
  /** `https://host:port` */
  origin: string;
  bucket: string;
  /** Empty, or ending in a slash. */
  prefix: string;
}

const URL_OF_WITNESS = /^https?:\/\/[^\s/?#][^\s?#]*$/;

/** `<verifier key> <URL>`, several separated by commas. Undefined for anything else. */
export function parseWitnesses(text: string): WitnessPlace[] | undefined {
  try {
    const places = text.split(',').map((one) => {
      const [key, url, ...more] = one.trim().split(/\s+/);
      if (!key || !url || more.length > 0 || !URL_OF_WITNESS.test(url)) throw new Error('no witness');
      return { key: parseVerifierKey(key, 'cosignature'), url: url.replace(/\/+$/, '') };
    });
    return new Set(places.map(({ key }) => key.publicKey.toString('hex'))).size === places.length ? places : undefined;
  } catch {
    return undefined;
  }
}

/** Names that stand in a URL as they are: what is signed is then what is sent, whatever encodes it. */
const BUCKET_URL = /^(https?:\/\/[A-Za-z0-9.\-[\]:]+)\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:\/[A-Za-z0-9._-]+)*)\/?$/;

/** `https://host[:port]/<bucket>[/<prefix>]`. Undefined for anything else. */
export function parseBucket(text: string): BucketPlace | undefined {
  const [, origin, bucket, path] = BUCKET_URL.exec(text) ?? [];
  if (origin === undefined || bucket === undefined || path === undefined || path.includes('/.')) return undefined;
  return { origin, bucket, prefix: path === '' ? '' : `${path.slice(1)}/` };
}
