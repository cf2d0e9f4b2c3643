import type { AuditedResource } from '#audit-log/record';
import type { Attestation } from '#crypto/attestation/attestation-verifier';
import type { DecidedBy, Decision } from '#policy/decision';
import type { Caller } from '../caller';
import type { GrantTokenClaims } from '../grants/grant-tokens';

type ResourceType = 'AWS::KMS::Key' | 'AWS::KMS::Alias' | 'AWS::IAM::Role';
const KEY: ResourceType = 'AWS::KMS::Key';

/** What a call leaves behind for its record, noted on the way. A call that is begun anew begins its trail anew. */
export class Trail {
  caller: Caller | undefined;
  request: object | undefined;
  /** What the GrantToken of RetireGrant said. */
  grantToken: GrantTokenClaims | undefined;
  readonly resources: AuditedResource[] = [];
  /** What settled the newest decision. */
  decidedBy: DecidedBy | undefined;
  /** Of the key material that was used, of symmetric keys alone, as AWS records it. Of a re-encryption the other two. */
  keyMaterialId: string | undefined;
  sourceKeyMaterialId: string | undefined;
  destinationKeyMaterialId: string | undefined;
  /** The grant that RetireGrant was about. */
  retiredGrantId: string | undefined;
  /** kms:TrailingDaysWithoutKeyUsage, where a policy asked for it. */
  trailingDays: number | undefined;
  /** What the verified attestation document of the request says. */
  attestation: Attestation | undefined;

  begin(caller: Caller): void {
    this.caller = caller;
    this.resources.length = 0;
    this.decidedBy = undefined;
    this.keyMaterialId = undefined;
    this.sourceKeyMaterialId = undefined;
    this.destinationKeyMaterialId = undefined;
    this.retiredGrantId = undefined;
    this.trailingDays = undefined;
    this.attestation = undefined;
  }

  attested(attestation: Attestation): void {
    this.attestation = attestation;
  }

  hadBeenIdle(days: number): void {
    this.trailingDays = days;
  }

  decided({ decidedBy }: Decision): void {
    this.decidedBy = decidedBy;
  }

  /** The key material that encrypted or decrypted. */
  used(keyMaterialId: string): void {
    this.keyMaterialId = keyMaterialId;
  }

  /** The key materials on both sides, where the keys are symmetric. */
  reEncrypted(sourceKeyMaterialId: string | undefined, destinationKeyMaterialId: string | undefined): void {
    this.sourceKeyMaterialId = sourceKeyMaterialId;
    this.destinationKeyMaterialId = destinationKeyMaterialId;
  }

  retired(grantId: string): void {
    this.retiredGrantId = grantId;
  }

  /** A key, alias or role that the call is about. */
  about(arn: string, accountId: string, type: ResourceType = KEY): void {
    if (!this.resources.some(({ ARN }) => ARN === arn)) this.resources.push({ accountId, type, ARN: arn });
  }

  /** ARN of the key that the call is about; of an alias that goes from one to another, of the one that it goes to. */
  get keyArn(): string | undefined {
    return this.resources.findLast(({ type }) => type === KEY)?.ARN;
  }
}
