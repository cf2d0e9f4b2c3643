import { includesPairs, samePairs } from '#domain/grant/constraints';
import { GRANT_OPERATIONS } from '#domain/grant/grant-operations';
import { type Covers, namesCaller } from './principals';
import type { AuthorizationRequest } from './request';

/** What a decision needs of a grant of the key. */
export interface GrantFacts {
  grantId: string;
  /** ARN of a user, role, session or account root, account number, unique id, or name of a service. */
  granteePrincipal: string;
  /** Of the API model's GrantOperation: `Decrypt`, `ReEncryptFrom`. */
  operations: readonly string[];
  constraints?: GrantConstraints;
}

export interface GrantConstraints {
  EncryptionContextEquals?: Readonly<Record<string, string>>;
  EncryptionContextSubset?: Readonly<Record<string, string>>;
  SourceArn?: string;
}

export type GrantMiss = 'principal' | 'operation' | keyof GrantConstraints;

/** Grant operations that take an encryption context: constraints on it bind no others (GrantConstraints, AWS KMS API). */
const WITH_ENCRYPTION_CONTEXT = new Set(
  [
    ...['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'],
    ...['GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext'],
  ].map((operation) => `kms:${operation.toLowerCase()}`),
);

/** How a grant covers the request, or why it does not. `action` is the request's in lower case. */
export function evaluateGrant(
  grant: GrantFacts,
  request: AuthorizationRequest,
  action: string,
): { covers: Covers } | { miss: GrantMiss } {
  const covers = namesCaller(grant.granteePrincipal, request.principal);
  if (covers === undefined) return { miss: 'principal' };
  if (!allowsAction(grant.operations, action)) return OTHER_OPERATION;
  const broken = grant.constraints && brokenConstraint(grant.constraints, request, action);
  return broken === undefined ? { covers } : { miss: broken };
}

/** Made once: a key may have many grants that the caller's next request passes over. */
const OTHER_OPERATION = { miss: 'operation' } as const;

const ACTIONS: ReadonlyMap<string, string> = new Map(
  GRANT_OPERATIONS.map((operation) => [operation, `kms:${operation.toLowerCase()}`]),
);

function allowsAction(operations: readonly string[], action: string): boolean {
  for (const operation of operations) if (ACTIONS.get(operation) === action) return true;
  return false;
}

const NO_CONTEXT: Readonly<Record<string, string>> = {};

function brokenConstraint(
  { EncryptionContextEquals: equals, EncryptionContextSubset: subset, SourceArn: source }: GrantConstraints,
  { context, encryptionContext = NO_CONTEXT }: AuthorizationRequest,
  action: string,
): keyof GrantConstraints | undefined {
  if (WITH_ENCRYPTION_CONTEXT.has(action)) {
    if (equals && !samePairs(encryptionContext, equals)) return 'EncryptionContextEquals';
    if (subset && !includesPairs(encryptionContext, subset)) return 'EncryptionContextSubset';
  }
  return source !== undefined && action !== 'kms:retiregrant' && context('aws:sourcearn') !== source
    ? 'SourceArn'
    : undefined;
}
