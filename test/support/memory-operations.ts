import { createHash, randomBytes } from 'node:crypto';
import type { AuditRecord } from '#audit-log/record';
import { AttestationVerifier } from '#crypto/attestation/attestation-verifier';
import { openMaterial, randomMaterialLength } from '#crypto/key-material';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import type { AggregateType, CommandOf } from '#domain/aggregates';
import type { ConnectionState } from '#domain/custom-key-store/state';
import { isAsymmetric } from '#domain/key/key-kinds';
import type { AggregateRef } from '#domain/subjects';
import { MemoryEventStore } from '#event-store/memory-event-store';
import type { BackingKey } from '#hsm/backing-key';
import { generatePair, publicKeyOf } from '#hsm/key-generation';
import { callRecord } from '#operations/audit/call-record';
import { Trail } from '#operations/audit/trail';
import type { Caller, CallerClaim, SessionClaims } from '#operations/caller';
import { MaterialNotLoaded } from '#operations/operation';
import { verifiedRecipient } from '#operations/recipient';
import { resolveCaller } from '#operations/resolve-caller';
import { runOperation } from '#operations/run-operation';
import { OPERATION_TABLE } from '#operations/table';
import type { LastUses } from '#operations/usage/last-uses';
import { GrantTokens, localSigner } from '#platform/grant-tokens';
import { KeyManager, originOf } from '#platform/key-manager';
import { KeyStores } from '#platform/key-stores/key-stores';
import { KeysInStores } from '#platform/key-stores/keys-in-stores';
import { KeyTimers } from '#platform/key-timers';
import type { MaterialCustodian } from '#platform/material-custodian';
import { RevocationBarrier } from '#platform/revocation-barrier';
import { ServingLease } from '#platform/serving-lease';
import { WorkerCommands } from '#platform/worker-commands';
import { DueTimes, TIMER_KINDS } from '#views/due-times';
import { storeOf } from '#views/key-store';
import { LiveView } from '#views/live-view';
import type { Projection } from '#views/projection';
import { FakeKeyStores } from './fake-key-stores';
import { settleHsms } from './memory-hsms';
import { MemoryImports } from './memory-imports';
import { MemorySealedPlaces } from './memory-sealed-places';
import { observeError } from './observed-errors';
import { rootCaller } from './root-caller';

const isCluster = (ref: AggregateRef): ref is AggregateRef<'cluster'> => ref.aggregate === 'cluster';

export const ACCOUNT = '000000000000';

/** An identity policy for all resources. */
export const allowing = (...actions: string[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: actions, Resource: '*' } });

interface Reply {
  /** The error's code, or OK. */
  code: string;
  /** The error's message, '' where there is none. */
  message: string;
  body: Record<string, unknown>;
}

/** Every operation on a log in memory: from the JSON of a request to the JSON of its reply. */
export class MemoryOperations {
  /** ms since the epoch; a test moves it. */
  now = Date.parse('2026-01-01T00:00:00.000Z');
  /** Session tokens that are taken for good. */
  readonly sessions = new Map<string, SessionClaims>();
  private readonly anchors = {
    account: ACCOUNT,
    rootAccessKeyId: 'AKIAROOT',
    sessionClaimsOf: (token: string) => this.sessions.get(token),
  };
  private readonly view = new LiveView();
  private readonly lease: ServingLease;
  private readonly ready: Promise<void>;
  private readonly tokens = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH));
  private readonly grantTokens = new GrantTokens(this.view, this.tokens.publicKey.export());
  /** A test takes the signer away. */
  signGrantToken = localSigner(this.tokens);
  /** What was asked, and what a test has it answer: nothing used, nothing on record. */
  readonly askedUses: string[] = [];
  onLastUse: LastUses['lastUse'] = async () => ({});
  private readonly lastUses: LastUses = {
    lastUse: (kind, id) => {
      this.askedUses.push(`${kind} ${id}`);
      return this.onLastUse(kind, id);
    },
  };
  private calls = 0;
  readonly imports: MemoryImports;
  /** A test that has no module for HSMs sets it. */
  hsmObstacle: string | undefined;
  /** A test that has attestation documents sets it. */
  attestations = new AttestationVerifier([]);
  /** A test that wants the records of the calls sets it. */
  onRecord: ((record: AuditRecord) => void) | undefined;
  private readonly backingKeys = new Map<string, BackingKey>();
  /** What stands behind custom key stores. */
  readonly backings = new FakeKeyStores();
  private readonly sealed = new MemorySealedPlaces();
  readonly keyStores: KeyStores;
  private readonly inStores: KeysInStores;
  private readonly manager: KeyManager;
  private readonly timers: KeyTimers;

  /** Alone, or with others on one log; `leaseMs` is longer than any test, unless it is to run out, as it is not renewed. */
  constructor(store = new MemoryEventStore(), leaseMs = 600_000) {
    const { view } = this;
    const barrier = new RevocationBarrier(leaseMs);
    const announce = (position: number) => barrier.hear({ processId: 'this', position, leaseMs });
    this.lease = new ServingLease(store, view, leaseMs, announce);
    const materials: MaterialCustodian = {
      create: async (keyArn, materialId, keySpec, place) => {
        if (place) {
          await this.inStores.create(keyArn, materialId, place);
          return undefined;
        }
        let backingKey = this.backingKeys.get(materialId);
        if (!backingKey) {
          const length = randomMaterialLength(keySpec);
          // Not a secret: the same for the same material.
          const material =
            length === undefined
              ? (await generatePair(keySpec)).privateKey
              : createHash('shake256', { outputLength: length }).update(materialId).digest();
          backingKey = { keyArn, materialId, keySpec, keyObject: openMaterial(keySpec, material) };
          this.backingKeys.set(materialId, backingKey);
        }
        if (!isAsymmetric(keySpec)) return undefined;
        return (await publicKeyOf(keySpec, backingKey.keyObject)).toString('base64');
      },
      destroy: async (ref, materialId) => {
        const key = this.projection.folded(ref as AggregateRef<'key'>)?.state;
        const store = key?.keyState === 'Deleted' ? storeOf(this.projection, ref, key) : undefined;
        if (store?.state.backing.storeType === 'AWS_CLOUDHSM' && !materialId.endsWith('-copy')) {
          await this.inStores.destroyInCluster(store.ref, materialId);
        }
        this.backingKeys.delete(materialId);
        await this.sealed.destroy(materialId);
      },
    };
    this.manager = new KeyManager({
      store,
      view,
      serving: this.lease,
      materials,
      appliedEverywhere: (position) => barrier.applied(position),
      failPoint: () => {},
      signGrantToken: (claims) => this.signGrantToken(claims),
      lastUses: this.lastUses,
      clusters: this.backings.directory,
    });
    this.keyStores = new KeyStores({
      view,
      vault: this.sealed,
      commands: new WorkerCommands(view, (ref, command, origin) => this.manager.runFor(ref, command, origin)),
      connectors: this.backings,
      clock: { now: () => this.now },
      onError: (error) => this.storeErrors.push(error),
    });
    this.inStores = new KeysInStores({ ...this.sealed.ports, create: materials.create as never }, this.keyStores);
    this.imports = new MemoryImports(this.backingKeys, async (ref, command, call) => {
      await this.manager.runFor(ref, command, originOf(call));
    });
    this.timers = new KeyTimers({ manager: this.manager, materials, clock: { now: () => this.now } });
    this.ready = view
      .start(store)
      .then(() => this.lease.start())
      .then(() => this.lease.stop())
      .then(() => this.keyStores.start());
  }

  /** Who a claim is of now: root's, unless it says otherwise. */
  resolve(claim: Partial<CallerClaim>): Caller {
    const whole = { region: 'us-east-1', account: ACCOUNT, principalId: 'root', ...claim };
    return resolveCaller(whole, this.view.projection, this.anchors, this.now);
  }

  /** A command as root of its account gives it, past the operations. */
  async runCommand<T extends AggregateType>(ref: AggregateRef<T>, command: CommandOf<T>): Promise<void> {
    await this.ready;
    const caller = rootCaller('us-east-1', ref.account);
    const now = new Date(this.now).toISOString();
    await this.manager.runCommand(ref, command, { caller, requestId: 'test', operation: 'Test', now });
  }

  /** Names of what is in the store of material. */
  get storedMaterial(): string[] {
    return [...this.backingKeys.keys()];
  }

  get projection(): Projection {
    return this.view.projection;
  }

  /** What came due by now, as a scheduler fires it: as late as the test lets it. */
  async fireDue(): Promise<void> {
    await this.ready;
    const due = new DueTimes(new Set(TIMER_KINDS));
    due.build(this.projection);
    for (const timer of due.due(new Date(this.now).toISOString(), 1_000)) await this.timers.fire(timer);
  }

  /** What crypto-workers had trouble with. */
  readonly storeErrors: unknown[] = [];

  /** Names of what is stored sealed, and is no backing key. */
  get sealedPlaces(): string[] {
    return this.sealed.names;
  }

  /** Resolves once the store has come to a state. */
  async storeReaches(storeId: string, state: ConnectionState, region = 'us-east-1'): Promise<void> {
    await this.ready;
    const reached = () => {
      const store = this.projection.customKeyStore(region, ACCOUNT, storeId)?.state;
      return store?.storeState === 'Existing' && store.connection === state;
    };
    if (reached()) return;
    await new Promise<void>((resolve) => this.view.onCommit(() => reached() && resolve()));
  }

  /** A test has it thrown at each call. */
  fault: Error | undefined;
  /** That a test is about what a caller is told of a fault, where it would fail with it otherwise. */
  toleratesFaults = false;

  /** As root, unless `claim` says otherwise; `input`: the request, or its JSON. */
  async call(operation: string, input: object | Buffer, claim: Partial<CallerClaim> = {}): Promise<Reply> {
    await this.ready;
    const trail = this.onRecord && new Trail();
    const requestId = `test-${++this.calls}`;
    const reply = await runOperation(
      OPERATION_TABLE.get(operation)!,
      Buffer.isBuffer(input) ? input : Buffer.from(JSON.stringify(input)),
      {
        requestId,
        operation,
        ...(trail && { trail }),
        now: () => new Date(this.now).toISOString(),
        resolveCaller: () => {
          if (this.fault) throw this.fault;
          return this.resolve(claim);
        },
      },
      {
        control: {
          projection: this.view.projection,
          newKeyId: (multiRegion) => this.manager.newKeyId(multiRegion),
          settleRelated: (ref, call) => this.manager.settleRelated(ref, call),
          grantToken: (claims) => this.manager.grantToken(claims),
          random: (length) => randomBytes(length),
          wasBehind: (held) => this.wasBehind(held),
          revocationsSettled: () => this.manager.revocationsSettled(),
          limits: this.manager.limits,
          lastUses: this.lastUses,
          mintManagedKey: (which, cause) => this.manager.mintManagedKey(which, cause),
          runCommand: async (ref, command, call) => {
            const result = await this.manager.runCommand(ref, command, call);
            if (isCluster(ref)) await settleHsms(this.manager, ref, call.now);
            return result;
          },
          eraseReleased: (ref, call) => this.manager.eraseReleased(ref, call),
          clusters: this.backings.directory,
        },
        data: {
          projection: this.view.projection,
          backingKey: (keyArn, { materialId, storedAs = materialId }) => {
            const backingKey = this.backingKeys.get(storedAs);
            if (backingKey?.keyArn !== keyArn) throw new MaterialNotLoaded(keyArn, materialId);
            return backingKey;
          },
          mintManagedKey: (which, cause) => this.manager.mintManagedKey(which, cause),
          loadBackingKey: (_keyArn, materialId) => Promise.reject(new Error(`no material ${materialId}`)),
          random: (length) => randomBytes(length),
          recipient: (given, call) => verifiedRecipient(given, call, this.attestations),
          tokens: this.tokens,
          wasBehind: (held) => this.wasBehind(held),
          systemSeconds: () => this.now / 1000,
          accessKeys: {
            create: async () => 'a secret of the test, of forty characters'.slice(0, 40),
            runCommand: async (ref, command, call) => {
              await this.manager.runCommand(ref, command, call);
            },
            erase: async () => {},
          },
          imports: this.imports,
          keyStores: this.keyStores,
          clusters: this.backings.directory,
          hsms: {
            obstacle: () => this.hsmObstacle,
            runCommand: async (ref, command, call) => {
              await this.manager.runFor(ref, command, originOf(call));
              await settleHsms(this.manager, ref, call.now);
            },
          },
        },
        audit: {
          projection: this.view.projection,
          history: { lookUp: () => Promise.reject(new Error('no event history in memory')) },
          trailKeys: async () => [],
          lastUses: this.lastUses,
          current: async () => {},
        },
        serving: this.lease,
        grantTokens: this.grantTokens,
      },
      (error) => {
        if (!this.toleratesFaults) throw error;
      },
    );
    if (reply.error !== undefined) observeError(operation, reply.error);
    if (trail) {
      this.onRecord?.(
        callRecord({
          operation: OPERATION_TABLE.get(operation)!,
          requestId,
          eventId: requestId,
          now: new Date(this.now).toISOString(),
          claim: { region: 'us-east-1', account: ACCOUNT, principalId: 'root', ...claim },
          trail,
          reply,
        }),
      );
    }
    const body = JSON.parse(reply.body.toString()) as Record<string, unknown>;
    return { code: reply.error ?? 'OK', message: String(body['message'] ?? ''), body };
  }

  /** How often the log was asked whether the view is outdated. */
  askedWhetherBehind = 0;

  private wasBehind(held: number): Promise<boolean> {
    this.askedWhetherBehind++;
    return this.manager.wasBehind(held);
  }

  /** The store of material has nothing any more. */
  loseMaterial(): void {
    this.backingKeys.clear();
  }

  /** Whether the key has any. */
  async hasGrants(KeyId: string): Promise<boolean> {
    return ((await this.call('ListGrants', { KeyId })).body['Grants'] as unknown[]).length > 0;
  }

  /** A new key's id and ARN. */
  async newKey(region = 'us-east-1'): Promise<{ KeyId: string; Arn: string }> {
    const { body } = await this.call('CreateKey', {}, { region });
    return body['KeyMetadata'] as { KeyId: string; Arn: string };
  }
}
