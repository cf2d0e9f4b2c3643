import type { KeyObject } from 'node:crypto';
import type { Curve } from './curves';
import type { Scalar } from './scalar-field';

/** version 1, and the header of the private key, of an ECPrivateKey (RFC 5915 section 3). */
const VERSION_AND_OCTETS = Buffer.from([0x02, 0x01, 0x01, 0x04]);

/** The secret number of a private key, which the caller wipes. */
export function privateScalar(key: KeyObject, { field }: Curve): Scalar {
  // An ECPrivateKey by itself is much quicker; of SM2 keys OpenSSL writes only PKCS #8, in which it stands.
  const der = key.export({ type: key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs8', format: 'der' });
  try {
    const header = Buffer.concat([VERSION_AND_OCTETS, Buffer.of(field.byteLength)]);
    const at = der.indexOf(header);
    if (at < 0) throw new TypeError('not the private key of this curve');
    const from = at + header.length;
    return field.fromBytes(der.subarray(from, from + field.byteLength));
  } finally {
    der.fill(0);
  }
}
