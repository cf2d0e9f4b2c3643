import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { NatsConnection } from 'nats';
import { dataToSign, keyFingerprint, type SignedParts } from '#audit-log/trail-digest';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { OwnSecrets } from '#hsm/own-secrets';
import type { TrailPublicKey } from '#operations/audit/event-history';
import type { Clock } from '../clock';
import { membersOf } from '../internal-questions';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';

/** Signs digests of trail files. */
export interface DigestSigner {
  /** Made with the first question for it. */
  publicKey(): Promise<TrailPublicKey>;
  /** The signature in hex. The same for the same parts. */
  sign(parts: SignedParts): Promise<string>;
}

/** The one that CloudTrail's keys have. */
const MODULUS_BITS = 2048;
/** The key is not replaced: it is given out as valid for a time that is longer than any trail. */
const VALID_SECONDS = 100 * 365 * 86_400;
const TIME_BYTES = 8;

const makeRsa = promisify(generateKeyPair);

/** Signs where the key is: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017), of digests and nothing else. */
export class VaultDigestSigner implements DigestSigner {
  private opened: Promise<OpenedKey> | undefined;

  constructor(
    private readonly secrets: Pick<OwnSecrets, 'trailKey'>,
    private readonly clock: Clock,
  ) {}

  async publicKey(): Promise<TrailPublicKey> {
    return (await this.open()).published;
  }

  async sign(parts: SignedParts): Promise<string> {
    const { key } = await this.open();
    return sign('sha256', Buffer.from(dataToSign(parts), 'utf8'), key).toString('hex');
  }

  private open(): Promise<OpenedKey> {
    this.opened ??= this.secrets
      .trailKey(() => newKey(this.clock.now()))
      .then(openKey)
      .catch((error: unknown) => {
        this.opened = undefined;
        throw error;
      });
    return this.opened;
  }
}

interface OpenedKey {
  key: KeyObject;
  published: TrailPublicKey;
}

/** As it is wrapped: when it was made, ms, and the private key in PKCS #8. */
async function newKey(now: number): Promise<Buffer> {
  const { privateKey } = await makeRsa('rsa', {
    modulusLength: MODULUS_BITS,
    publicKeyEncoding: { type: 'pkcs1', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  const made = Buffer.alloc(TIME_BYTES);
  made.writeBigUInt64BE(BigInt(now));
  const material = Buffer.concat([made, privateKey]);
  privateKey.fill(0);
  return material;
}

function openKey(material: Buffer): OpenedKey {
  try {
    const key = createPrivateKey({ key: material.subarray(TIME_BYTES), format: 'der', type: 'pkcs8' });
    const value = createPublicKey(key).export({ type: 'pkcs1', format: 'der' });
    const from = Math.floor(Number(material.readBigUInt64BE()) / 1000);
    const published = { value, fingerprint: keyFingerprint(value), from, until: from + VALID_SECONDS };
    return { key, published };
  } finally {
    material.fill(0);
  }
}

const TIMEOUT_MS = 10_000;

/** By way of a crypto-worker. */
export class RemoteDigestSigner implements DigestSigner {
  constructor(private readonly nats: NatsConnection) {}

  async publicKey(): Promise<TrailPublicKey> {
    const { value, ...rest } = await ask<PublishedKey>(this.nats, INTERNAL.trailKey, {}, { timeoutMs: TIMEOUT_MS });
    return { ...rest, value: Buffer.from(value, 'base64') };
  }

  sign(parts: SignedParts): Promise<string> {
    return ask<string>(this.nats, INTERNAL.trailSign, parts, { timeoutMs: TIMEOUT_MS });
  }
}

type PublishedKey = Omit<TrailPublicKey, 'value'> & { value: string };

export function serveDigestSigner(
  served: ServedRequests,
  signer: DigestSigner,
  onError: (error: unknown) => void,
): void {
  answer<unknown, string>(
    served,
    INTERNAL.trailSign,
    QUEUE.data,
    (question) => signer.sign(partsToSign(question)),
    onError,
  );
  answer<unknown, PublishedKey>(
    served,
    INTERNAL.trailKey,
    QUEUE.data,
    async () => {
      const { value, ...rest } = await signer.publicKey();
      return { ...rest, value: Buffer.from(value).toString('base64') };
    },
    onError,
  );
}

const FORMS = {
  end: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  bucket: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
  key: /^AWSLogs\/\d{12}\/CloudTrail-Digest\/[\w/-]+\.json\.gz$/,
  hash: /^[0-9a-f]{64}$/,
} as const satisfies Partial<Record<keyof SignedParts, RegExp>>;
const SIGNATURE = /^[0-9a-f]{512}$/;

/** Throws ValidationException for what is of no digest: nothing else is ever signed. */
function partsToSign(question: unknown): SignedParts {
  const members = membersOf(question);
  const text = (name: keyof typeof FORMS): string => {
    const value = members[name];
    if (typeof value !== 'string' || !FORMS[name].test(value)) throw unfit(name);
    return value;
  };
  const { previousSignature } = members;
  const isSignature = typeof previousSignature === 'string' && SIGNATURE.test(previousSignature);
  if (previousSignature !== null && !isSignature) throw unfit('previousSignature');
  return {
    end: text('end'),
    bucket: text('bucket'),
    key: text('key'),
    hash: text('hash'),
    previousSignature: isSignature ? previousSignature : null,
  };
}

const unfit = (name: string): KmsError => new KmsError('ValidationException', `${name}: expected that of a digest`);
