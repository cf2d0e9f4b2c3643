import { LRUCache } from 'lru-cache';
import { KmsError } from '#domain/errors';
import type { CallerClaim } from '../caller';
import { OF_THE_KEY, type Operation, quotaClassOf } from '../operation';
import { awsRate, isQuotaClass, type QuotaClass } from './quota-classes';
import { fullBucket, type TokenBucket, take } from './token-bucket';

/** Rates in requests a second that take the place of AWS's, in every region. */
export type QuotaRates = Readonly<Partial<Record<QuotaClass, number>>>;

type Caller = Pick<CallerClaim, 'account' | 'region'>;

/** AWS's own sentence. */
const EXCEEDED = 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.';

/**
 * A region is whatever a caller names, so the number of buckets is bounded. One that is dropped comes back full, which is
 * worth a second of its rate; to have it dropped takes as many requests as there are buckets.
 */
const MAX_BUCKETS = 20_000;

/** Request quotas by account, region and class. The time comes in with each request: ms that never go back. */
export class Quotas {
  private readonly buckets: LRUCache<string, TokenBucket>;
  /** Requests refused, by class. */
  readonly refusals = new Map<QuotaClass, number>();

  constructor(
    private readonly rates: QuotaRates = {},
    maxBuckets = MAX_BUCKETS,
  ) {
    this.buckets = new LRUCache({ max: maxBuckets });
  }

  /**
   * Counts a call against the caller's account, whoever owns the key. Throws ThrottlingException beyond the rate. A call whose
   * class depends on its key is counted by what is returned.
   */
  begin(operation: Operation, caller: Caller, now: number): CountedCall | undefined {
    const quotaClass = quotaClassOf(operation);
    if (quotaClass === OF_THE_KEY) return new CountedCall((found, of) => this.count(found, caller, now, of));
    if (quotaClass !== undefined && isQuotaClass(quotaClass)) this.count(quotaClass, caller, now);
    return undefined;
  }

  /** Counts one request of this class, and of one thing of it where each has a quota: a custom key store. Throws ThrottlingException beyond the rate. */
  count(quotaClass: QuotaClass, { account, region }: Caller, now: number, of = ''): void {
    const name = `${account} ${region} ${quotaClass} ${of}`;
    const bucket = this.buckets.get(name) ?? fullBucket(this.rates[quotaClass] ?? awsRate(quotaClass, region), now);
    const taken = take(bucket, now);
    this.buckets.set(name, taken.bucket);
    if (taken.allowed) return;
    this.refusals.set(quotaClass, (this.refusals.get(quotaClass) ?? 0) + 1);
    throw new KmsError('ThrottlingException', EXCEEDED);
  }

  get size(): number {
    return this.buckets.size;
  }
}

/** A call that is counted once, however often it is begun anew. */
export class CountedCall {
  private counted = false;

  constructor(private readonly count: (quotaClass: QuotaClass, of?: string) => void) {}

  /** Throws ThrottlingException beyond the rate. */
  readonly as = (quotaClass: QuotaClass, of?: string): void => {
    if (this.counted) return;
    this.counted = true;
    this.count(quotaClass, of);
  };

  /** It is over: where no key was found that it could be counted by, what symmetric keys have it costs. */
  end(): void {
    this.as('symmetric');
  }
}
