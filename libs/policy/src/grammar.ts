/** Where a policy hangs: on a key, on a user or role, on a role as who may assume it, on one session. */
export type PolicyKind = 'key' | 'identity' | 'trust' | 'session';

/** In what the grammars of policies differ. */
export interface PolicyGrammar {
  /** Bytes are of UTF-8. Quotas that depend on whose policy it is are the caller's to check. */
  max: { size: number; unit: 'bytes' | 'characters' };
  /** What to say of a statement without a required, or with a forbidden element; others may be absent. */
  elements: Partial<Record<string, { required?: (where: string) => string; forbidden?: (where: string) => string }>>;
  actions?: { fits: RegExp; otherwise: string };
  /** The refusal of statements that share a Sid; absent where they may. */
  repeatedSid?: string;
}

/** AWS KMS quota, in bytes of UTF-8. */
export const MAX_POLICY_BYTES = 32_768;

/** The bound of IAM's API model (policyDocumentType); its quotas are lower and count only what is no white space. */
const IAM_TEXT = { size: 131_072, unit: 'characters' } as const;

const say = (sentence: string) => () => sentence;

/** Sentences of IAM. */
const OF_A_PRINCIPAL = {
  elements: {
    Principal: { forbidden: say('Policy document should not specify a principal.') },
    Action: { required: say('Policy statement must contain actions.') },
    Resource: { required: say('Policy statement must contain resources.') },
  },
  repeatedSid: 'Statement IDs (SID) in a single policy must be unique.',
};

export const GRAMMARS: Record<PolicyKind, PolicyGrammar> = {
  key: {
    max: { size: MAX_POLICY_BYTES, unit: 'bytes' },
    elements: { Principal: { required: (where) => `${where} has no Principal.` } },
  },
  identity: { max: IAM_TEXT, ...OF_A_PRINCIPAL },
  session: { max: { size: 2_048, unit: 'characters' }, ...OF_A_PRINCIPAL },
  trust: {
    max: IAM_TEXT,
    elements: {
      Principal: { required: say('Missing required field Principal') },
      Action: { required: say('Missing required field Action') },
      Resource: { forbidden: say('Has prohibited field Resource') },
    },
    actions: {
      fits: /^sts:(?:AssumeRole|AssumeRole\*|AssumeRoleWith\w+|SetSourceIdentity|SetContext|TagSession|\*)$/i,
      otherwise: 'AssumeRole policy may only specify STS AssumeRole actions.',
    },
    repeatedSid: OF_A_PRINCIPAL.repeatedSid,
  },
};

/** The size that IAM's quotas count: characters that are no white space. */
export const quotaSize = (text: string): number => text.replace(/\s/g, '').length;
