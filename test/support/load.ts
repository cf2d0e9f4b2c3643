import { CreateKeyCommand, DecryptCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { until } from './nats-server';

const PROGRESS_MS = 60_000;
/** A client's patience: what waits for a process that was killed is given up, and counts as a failure without an answer. */
const PATIENCE_MS = 5_000;
const PLAINTEXT = Buffer.from('under load');

/** A request of the load that failed. */
export interface LoadFailure {
  name: string;
  message: string;
  /** HTTP status; undefined where there was no answer. */
  status: number | undefined;
}

/** A light load on one key and of new keys, two requests at a time of each, and everything that was acknowledged. */
export class Load {
  /** Keys whose creation was acknowledged. */
  readonly created: string[] = [];
  /** What was encrypted, and decrypted again at once. */
  readonly ciphertexts: Uint8Array[] = [];
  readonly failures: LoadFailure[] = [];
  private going = true;
  private readonly ended: Promise<unknown>;

  constructor(
    private readonly kms: KMSClient,
    private readonly keyId: string,
  ) {
    const create = () => this.create();
    const encrypt = () => this.encrypt();
    this.ended = Promise.all([create, create, encrypt, encrypt].map((request) => this.repeat(request)));
  }

  /** Resolves once each kind of request has been answered some more times. */
  async progress(times: number, otherwise: string): Promise<void> {
    const wanted = this.counts().map((count) => count + times);
    await until(() => this.counts().every((count, at) => count >= wanted[at]!), otherwise, PROGRESS_MS);
  }

  /** Resolves once what was under way has been answered. */
  async stop(): Promise<void> {
    this.going = false;
    await this.ended;
  }

  private counts(): number[] {
    return [this.created.length, this.ciphertexts.length];
  }

  private async repeat(request: () => Promise<void>): Promise<void> {
    while (this.going) {
      try {
        await request();
      } catch (error) {
        const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
        this.failures.push({ name, message, status: $metadata?.httpStatusCode });
      }
    }
  }

  private async create(): Promise<void> {
    this.created.push((await this.kms.send(new CreateKeyCommand({}), patience())).KeyMetadata!.KeyId!);
  }

  private async encrypt(): Promise<void> {
    const encryption = new EncryptCommand({ KeyId: this.keyId, Plaintext: PLAINTEXT });
    const { CiphertextBlob } = await this.kms.send(encryption, patience());
    const { Plaintext } = await this.kms.send(new DecryptCommand({ CiphertextBlob }), patience());
    if (!PLAINTEXT.equals(Plaintext!)) throw new Error('a ciphertext gave another plaintext');
    this.ciphertexts.push(CiphertextBlob!);
  }
}

const patience = () => ({ abortSignal: AbortSignal.timeout(PATIENCE_MS) });
