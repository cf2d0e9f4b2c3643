const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const LENGTH = 11;
const ENI_BYTES = 9;
const ENI_DIGITS = 17;

interface Random {
  random(length: number): Buffer;
}

/** As AWS makes them: `cluster-`, `hsm-` or `backup-`, and 11 characters of base32. */
export const newId = (kind: 'cluster' | 'hsm' | 'backup', ports: Random): string =>
  `${kind}-${Array.from(ports.random(LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join('')}`;

/** Of a network interface, which stands for none here. */
export const newEniId = (ports: Random): string =>
  `eni-${ports.random(ENI_BYTES).toString('hex').slice(0, ENI_DIGITS)}`;
