import { KmsError, RequestFault } from '#domain/errors';
import { Checks } from './checks';
import { followGrantTokens, type GrantTokenClaims, type GrantTokenReader } from './grants/grant-tokens';
import type { MintingCause } from './managed-keys';
import { OffLoop } from './off-loop';
import type { Call, Operation, Tenure, UnresolvedCall } from './operation';
import { AskedUses } from './usage/asked-uses';
import { decodeRequest } from './wire/decode';
import { wipe } from './wire/wipe';

interface Begun {
  request: object;
  call: Call;
}

/**
 * What an operation is run with: the caller as it is at each try, and the request, decoded once. The order of checks, at each
 * try: who calls, the request's form, its grant tokens (which may be waited for), the right to serve, who calls again, then the
 * operation's own.
 */
export class Attempt {
  private request: object | undefined;
  private malformed: unknown;
  private followed = false;
  private grantToken: GrantTokenClaims | undefined;
  private begun: Begun | undefined;
  /** Of a control operation. */
  readonly uses = new AskedUses();
  readonly offLoop = new OffLoop();

  constructor(
    private readonly operation: Operation,
    private readonly body: Uint8Array,
    private readonly unresolved: UnresolvedCall,
    private readonly grantTokens: GrantTokenReader,
  ) {}

  cause(): MintingCause {
    return { requestId: this.unresolved.requestId, now: this.unresolved.now() };
  }

  /** Before each `begin`: the wait until the view holds the grants that the request's tokens mean, if there is one. */
  follow(): Promise<void> | undefined {
    if (this.followed) return undefined;
    const begun = this.resolved();
    const following = followGrantTokens(begun.request, this.grantTokens);
    if (following) {
      return following.then((grantToken) => {
        this.followed = true;
        this.grantToken = grantToken;
      });
    }
    this.followed = true;
    this.begun = begun;
    return undefined;
  }

  begin(): Begun {
    const begun = this.begun ?? this.resolved();
    this.begun = undefined;
    return begun;
  }

  /** Of an operation that appends: `position` is that of the view. */
  beginControl(tenure: Tenure, position: number): Begun {
    const begun = this.begin();
    const { uses } = this;
    begun.call.uses = uses;
    begun.call.tenure = tenure;
    begun.call.checks = new Checks(position, () => ({ ...this.resolved().call, uses }));
    return begun;
  }

  /** Once it is over, whatever came of it. */
  wipe(): void {
    if (this.request) wipe(this.request);
    this.offLoop.wipe();
  }

  /**
   * Whether it is a refusal that may have been made on an outdated view. What is wrong with the request itself stays so, and a
   * dry run that has passed is refused nothing.
   */
  isDoubtful(failure: unknown): boolean {
    if (failure === this.malformed || !(failure instanceof KmsError) || failure.retryable) return false;
    return !(failure instanceof RequestFault) && failure.code !== 'DryRunOperationException';
  }

  private decoded(): object {
    try {
      return decodeRequest(this.operation.request, this.body);
    } catch (malformed) {
      this.malformed = malformed;
      throw malformed;
    }
  }

  /** Who is not known does not learn what is wrong with the request. */
  private resolved(): Begun {
    const { grantToken } = this;
    const { requestId, operation, trail, countAs } = this.unresolved;
    const now = this.unresolved.now();
    const caller = this.unresolved.resolveCaller();
    trail?.begin(caller);
    const call: Call = {
      caller,
      requestId,
      operation,
      now,
      grantToken,
      tenure: undefined,
      checks: undefined,
      uses: undefined,
      trail,
      offLoop: this.offLoop,
      countAs,
    };
    this.request ??= this.decoded();
    if (trail) {
      trail.request = this.request;
      trail.grantToken = grantToken;
    }
    return { request: this.request, call };
  }
}
