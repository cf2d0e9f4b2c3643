import type { DecisionInput } from '#audit-log/record';
import { recordedAttestation } from './recorded-attestation';
import type { Trail } from './trail';

/** What decided the call, where the rest of its record does not say it; of most calls nothing. */
export function decisionInputOf(trail: Trail | undefined): { decisionInput?: DecisionInput } {
  const { caller, grantToken, trailingDays, attestation } = trail ?? {};
  const session = caller?.session;
  if (!caller?.secureTransport && !session && !grantToken && trailingDays === undefined && !attestation) return {};
  const input: DecisionInput = {
    ...(caller?.secureTransport && { secureTransport: true }),
    ...(session?.policy !== undefined && { sessionPolicy: session.policy }),
    ...(session?.tags && session.tags.length > 0 && { sessionTags: session.tags }),
    ...(session?.issuingAccessKeyId !== undefined && { issuingAccessKeyId: session.issuingAccessKeyId }),
    ...(grantToken && { retiring: { keyArn: grantToken.keyArn, grantId: grantToken.grantId } }),
    ...(trailingDays !== undefined && { trailingDaysWithoutKeyUsage: trailingDays }),
    ...(attestation && { attestation: recordedAttestation(attestation) }),
  };
  return Object.keys(input).length === 0 ? {} : { decisionInput: input };
}
