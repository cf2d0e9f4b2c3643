import { createHmac, timingSafeEqual } from 'node:crypto';
import { KmsError } from '#domain/errors';
import { canonicalRequest, sha256Hex } from './canonical-request';
import type { Claim, SignedRequest } from './claim';

export const UNRECOGNIZED_CLIENT = 'The security token included in the request is invalid.';
const MISMATCH =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
const SKEW_MS = 5 * 60_000;

const invalid = (message: string): KmsError => new KmsError('InvalidSignatureException', message);

/** The scope must be for one of `services`, on the day of the request. */
export function checkScope(claim: Claim, services: readonly string[]): void {
  if (!services.includes(claim.service)) throw invalid(`Credential should be scoped to correct service: '${services[0]}'. `);
  if (!claim.amzDate.startsWith(claim.date)) {
    throw invalid(`Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${claim.date}' != '${claim.amzDate.slice(0, 8)}', from '${claim.amzDate}'.`);
  }
}

const amzDateMs = (amzDate: string): number =>
  Date.parse(amzDate.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));

const toAmzDate = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');

/** Five minutes of skew either way; a presigned request may be used until it expires. */
export function checkFreshness(claim: Claim, nowMs: number): void {
  const signedAt = amzDateMs(claim.amzDate);
  if (Number.isNaN(signedAt)) throw invalid(`Date is not valid: '${claim.amzDate}'`);
  const lifetime = claim.presigned ? (claim.expiresSeconds ?? 0) * 1000 : SKEW_MS;
  const now = toAmzDate(nowMs);
  if (signedAt + lifetime < nowMs) {
    const earliest = toAmzDate(nowMs - lifetime);
    const allowed = claim.presigned ? `${claim.expiresSeconds} sec.` : '5 min.';
    throw invalid(`Signature expired: ${claim.amzDate} is now earlier than ${earliest} (${now} - ${allowed})`);
  }
  if (signedAt > nowMs + SKEW_MS) {
    throw invalid(`Signature not yet current: ${claim.amzDate} is still later than ${toAmzDate(nowMs + SKEW_MS)} (${now} + 5 min.)`);
  }
}

/** Compares in constant time. Throws InvalidSignatureException. */
export function verifySignature(claim: Claim, request: SignedRequest, signingKey: Uint8Array): void {
  const payloadHash = sha256Hex(request.body);
  const stated = request.headers['x-amz-content-sha256'];
  if (stated !== undefined && stated !== payloadHash) throw invalid(MISMATCH);
  const expected = signatureOf(claim, request, signingKey, payloadHash);
  const given = Buffer.from(claim.signature, 'latin1');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw invalid(MISMATCH);
}

/** The signature's hex digits. */
export function signatureOf(
  claim: Pick<Claim, 'amzDate' | 'scope' | 'signedHeaders' | 'presigned'>,
  request: SignedRequest,
  signingKey: Uint8Array,
  payloadHash: string,
): Buffer {
  const canonical = canonicalRequest(request, claim.signedHeaders, claim.presigned, payloadHash);
  const toSign = `AWS4-HMAC-SHA256\n${claim.amzDate}\n${claim.scope}\n${sha256Hex(canonical)}`;
  return Buffer.from(createHmac('sha256', signingKey).update(toSign).digest('hex'), 'latin1');
}
