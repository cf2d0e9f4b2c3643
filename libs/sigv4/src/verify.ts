import { timingSafeEqual } from 'node:crypto';
import { isRegionName } from '#domain/arn';
import { formatAmzDate, parseAmzDate } from './amz-date';
import { incomplete, invalid, mismatch, quoted } from './authentication-errors';
import { canonicalRequest, hashOfBody, parseQuery, signatureOf, TERMINATOR } from './canonical-request';
import type { SignatureClaim, SignedRequest } from './claim';

const SKEW_SECONDS = 300;
const SKEW = '5 min.';
const LONGEST_EXPIRES_SECONDS = 604_800;

/**
 * Refuses a request dated more than 5 minutes from `nowMs`, or a presigned one before its date (with the same allowance) or
 * after its X-Amz-Expires, which must be 1..604800 seconds. To the second; both bounds are still good.
 * Throws InvalidSignatureException, or IncompleteSignatureException for a bad X-Amz-Expires.
 */
export function checkFreshness(claim: SignatureClaim, nowMs: number): void {
  const signed = epochSeconds(claim.amzDate);
  const now = Math.floor(nowMs / 1000);
  const expires = claim.presigned ? claim.expiresSeconds : undefined;
  if (expires !== undefined) checkExpires(expires);
  if (signed > now + SKEW_SECONDS) {
    throw invalid(
      `Signature not yet current: ${claim.amzDate} is still later than ${dateOf(now + SKEW_SECONDS)} ` +
        `(${dateOf(now)} + ${SKEW})`,
    );
  }
  const lifetime = expires ?? SKEW_SECONDS;
  if (signed < now - lifetime) {
    const allowance = expires === undefined ? SKEW : `${expires} sec.`;
    throw invalid(
      `Signature expired: ${claim.amzDate} is now earlier than ${dateOf(now - lifetime)} (${dateOf(now)} - ${allowance})`,
    );
  }
}

function checkExpires(seconds: number): void {
  if (seconds < 0) throw incomplete('X-Amz-Expires must be non-negative');
  if (seconds === 0) throw incomplete('X-Amz-Expires must be at least 1 second');
  if (seconds > LONGEST_EXPIRES_SECONDS) {
    throw incomplete(
      'X-Amz-Expires must be less than a week (in seconds); ' +
        `that is, the given X-Amz-Expires must be less than ${LONGEST_EXPIRES_SECONDS} seconds`,
    );
  }
}

/**
 * Refuses a credential scope that is not for one of `services`, or whose region, terminator or date is off, naming all that is
 * wrong at once. Throws InvalidSignatureException.
 */
export function checkScope(claim: SignatureClaim, services: readonly string[]): void {
  const { date, region, service, scope, amzDate } = claim;
  const day = amzDate.slice(0, 8);
  const terminator = scope.slice(scope.lastIndexOf('/') + 1);
  const regionOk = isRegionName(region);
  const serviceOk = services.includes(service);
  if (regionOk && serviceOk && terminator === TERMINATOR && date === day) return;

  const wrong: string[] = [];
  if (!regionOk) wrong.push(`Credential should be scoped to a valid region, not ${quoted(region)}.`);
  if (!serviceOk) {
    wrong.push(`Credential should be scoped to correct service: ${services.map((name) => `'${name}'`).join(', ')}.`);
  }
  if (terminator !== TERMINATOR) {
    wrong.push(`Credential should be scoped with a valid terminator: '${TERMINATOR}', not ${quoted(terminator)}.`);
  }
  if (date !== day) {
    wrong.push(
      'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: ' +
        `${quoted(date)} != '${day}', from '${amzDate}'.`,
    );
  }
  throw invalid(wrong.join(' '));
}

/**
 * Returns only if `signingKey` signed exactly this request, its body included.
 * Throws InvalidSignatureException, or IncompleteSignatureException for a query that cannot be read.
 */
export function verifySignature(claim: SignatureClaim, request: SignedRequest, signingKey: Uint8Array): void {
  const bodyHash = hashOfBody(request.body);
  // Of S3's markers for a body that is not hashed (UNSIGNED-PAYLOAD, STREAMING-...) none is a hash, so none passes.
  const statedHash = request.headers['x-amz-content-sha256'];
  if (statedHash !== undefined && statedHash !== bodyHash) {
    throw invalid("The provided 'x-amz-content-sha256' header does not match what was computed.");
  }
  const canonical = canonicalRequest({
    method: request.method,
    path: request.path,
    parameters: parseQuery(request.query),
    headers: request.headers,
    signedHeaders: claim.signedHeaders,
    bodyHash,
  });
  const expected = signatureOf(canonical, claim.amzDate, claim.scope, signingKey);
  if (!sameText(expected, claim.signature)) throw mismatch();
}

/** In a time that tells nothing of where they differ. */
function sameText(expected: string, given: string): boolean {
  const a = Buffer.from(expected, 'utf8');
  const b = Buffer.from(given, 'utf8');
  return a.length === b.length && timingSafeEqual(a, b);
}

const dateOf = (seconds: number): string => formatAmzDate(seconds * 1000);

function epochSeconds(amzDate: string): number {
  const ms = parseAmzDate(amzDate);
  if (ms === undefined) throw mismatch();
  return ms / 1000;
}
