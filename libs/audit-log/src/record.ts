/**
 * One call, or one thing that a service did by itself, in the form and with the field names of AWS CloudTrail.
 * Source: AWS CloudTrail User Guide, "CloudTrail record contents".
 */
export interface AuditRecord extends OpenPart, SealedPart {}

/** What tells who did what to which key, when, and why it was allowed. Kept for ever. */
export interface OpenPart {
  eventVersion: typeof EVENT_VERSION;
  userIdentity: UserIdentity;
  /** UTC, whole seconds: `2026-11-24T12:00:00Z`. */
  eventTime: string;
  /** `kms.amazonaws.com` */
  eventSource: string;
  /** Name of the operation; of a service's own doing, such as `RotateKey`, its name there. */
  eventName: string;
  awsRegion: string;
  errorCode?: string;
  additionalEventData?: AdditionalEventData;
  requestID?: string;
  /** A UUID, no other record's. */
  eventID: string;
  readOnly: boolean;
  resources?: readonly AuditedResource[];
  eventType: 'AwsApiCall' | 'AwsServiceEvent';
  managementEvent: true;
  /** The account in whose trail it is: of the caller. */
  recipientAccountId: string;
  /** A UUID, of a call that more accounts than one see in their trails. */
  sharedEventID?: string;
  eventCategory: 'Management';
  /** Of a service's own doing. */
  serviceEventDetails?: Readonly<Record<string, string>>;
}

/** What may be personal. Never holds a plaintext, a ciphertext, a secret or a token. */
export interface SealedPart {
  sourceIPAddress?: string;
  userAgent?: string;
  errorMessage?: string;
  requestParameters: object | null;
  responseElements: object | null;
  decisionInput?: DecisionInput;
  tlsDetails?: TlsDetails;
}

/** Of the client's connection to a gateway. */
export interface TlsDetails {
  /** `TLSv1.3` */
  tlsVersion: string;
  cipherSuite: string;
  /** The Host header, as the client gave it. */
  clientProvidedHostHeader?: string;
}

/** What a decision rests on that no other member says: so that the call can be decided again. */
export interface DecisionInput {
  /** Absent of a call over plain HTTP, and of one over NATS. */
  secureTransport?: true;
  /** Of a session: its policy as text, its tags, and the long-term access key that it ends with. */
  sessionPolicy?: string;
  sessionTags?: readonly { key: string; value: string }[];
  issuingAccessKeyId?: string;
  /** The grant that a GrantToken named, which is itself never recorded. */
  retiring?: { keyArn: string; grantId: string };
  /** kms:TrailingDaysWithoutKeyUsage, where a policy asked for it. */
  trailingDaysWithoutKeyUsage?: number;
  /** What an attestation document said that was verified: its registers by index, in base64. */
  attestation?: { platform: 'enclave' | 'tpm'; moduleId: string; pcrs: Readonly<Record<string, string>> };
}

export const EVENT_VERSION = '1.11';

export interface AuditedResource {
  accountId: string;
  /** `AWS::KMS::Key`, `AWS::KMS::Alias`, `AWS::IAM::Role` */
  type: string;
  ARN: string;
}

export interface AdditionalEventData {
  /** Of the key material that was used. */
  keyMaterialId?: string;
  /** Of a re-encryption. */
  sourceKeyMaterialId?: string;
  destinationKeyMaterialId?: string;
  /** The grant that was retired, which a GrantToken may have named. */
  grantId?: string;
  /** Of an attestation document: module id, image digest and some registers, by CloudTrail's names, in base64. */
  recipient?: Readonly<Record<string, string>>;
  /** The statement or grant that decided, as a decision names it. */
  decidedBy?: object;
}

export interface UserIdentity {
  type: 'Root' | 'IAMUser' | 'AssumedRole' | 'AWSService' | 'AWSAccount' | 'Unknown';
  principalId?: string;
  arn?: string;
  accountId?: string;
  accessKeyId?: string;
  userName?: string;
  sessionContext?: {
    sessionIssuer?: {
      type: 'Role';
      principalId: string;
      arn?: string;
      accountId: string;
      userName?: string;
    };
    attributes: { creationDate: string; mfaAuthenticated: 'false' };
    sourceIdentity?: string;
  };
  invokedBy?: string;
}

/** The two texts that a record is kept as. Each is made once, and never again from what it says. */
export interface RecordTexts {
  open: OpenPart;
  sealed: string;
}

/** The parts of a record; the sealed one as the text that its commitment is over. */
export function splitRecord(record: AuditRecord): RecordTexts {
  const { sourceIPAddress, userAgent, errorMessage, requestParameters, responseElements, ...rest } = record;
  const { decisionInput, tlsDetails, ...open } = rest;
  return {
    open,
    sealed: JSON.stringify({
      sourceIPAddress,
      userAgent,
      errorMessage,
      requestParameters,
      responseElements,
      decisionInput,
      tlsDetails,
    }),
  };
}
