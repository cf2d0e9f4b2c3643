import type { Credentials } from '@aws-sdk/client-sts';
import type { SessionClaims } from '../caller';
import { ID_BYTES, uniqueId } from '../iam/unique-ids';
import type { DataPorts } from '../operation';
import type { Wire } from '../wire/wire';

const SECRET_BYTES = 30;
const IV_BYTES = 12;

/** Makes temporary credentials for so many seconds from now. They are nowhere but in the reply and their token. */
export function issueCredentials(
  claims: Omit<SessionClaims, 'accessKeyId' | 'issuedAt' | 'expiresAt'>,
  seconds: number,
  ports: DataPorts,
): Wire<Credentials> {
  const accessKeyId = uniqueId('ASIA', ports.random(ID_BYTES));
  const issuedAt = Math.floor(ports.systemSeconds());
  const expiresAt = issuedAt + seconds;
  // A copy: what the pool hands out is not ours to keep.
  const secret = Buffer.from(ports.random(SECRET_BYTES));
  try {
    const whole: SessionClaims = { ...claims, accessKeyId, issuedAt, expiresAt };
    return {
      AccessKeyId: accessKeyId,
      SecretAccessKey: secret.toString('base64'),
      SessionToken: ports.tokens.issue('session', whole, { secret, iv: ports.random(IV_BYTES) }),
      Expiration: expiresAt,
    };
  } finally {
    secret.fill(0);
  }
}
