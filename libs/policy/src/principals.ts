/** `*`, or the names under each type. `{"AWS": "*"}` stays as written: it does not cover services. */
export type Principals = '*' | Partial<Record<PrincipalType, string[]>>;

export type PrincipalType = 'AWS' | 'Service' | 'Federated' | 'CanonicalUser';

const IAM_NAME = String.raw`[\w+=,.@-]+`;
// Printable ASCII but for the separator and wildcards, which no principal may hold.
const IAM_PATH = String.raw`(?:[\x21-\x29\x2b-\x2e\x30-\x3e\x40-\x7e]+\/)*`;
const HOST = /^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?:\/[\w./-]*)?$/;

const AWS_FORMS = [
  /^\*$/,
  /^\d{12}$/,
  /^arn:aws[a-z-]*:iam::\d{12}:root$/,
  new RegExp(`^arn:aws[a-z-]*:iam::\\d{12}:(?:user|role)/${IAM_PATH}${IAM_NAME}$`),
  new RegExp(`^arn:aws[a-z-]*:sts::\\d{12}:assumed-role/${IAM_NAME}/${IAM_NAME}$`),
  new RegExp(`^arn:aws[a-z-]*:sts::\\d{12}:federated-user/${IAM_NAME}$`),
  // What a policy shows once the user or role it named is gone.
  /^A(?:ID|RO)A[A-Z0-9]{8,124}$/,
];

const FORMS: Record<PrincipalType, RegExp[]> = {
  AWS: AWS_FORMS,
  Service: [HOST],
  Federated: [HOST, /^arn:aws[a-z-]*:iam::\d{12}:(?:saml|oidc)-provider\/[\w+=,.@/:-]+$/],
  CanonicalUser: [/^[0-9a-f]{64}$/],
};

export const isPrincipalType = (type: string): type is PrincipalType => Object.hasOwn(FORMS, type);

/** Whether the name has one of the forms of its type. Whether such a principal exists is not asked here. */
export const isPrincipalName = (type: PrincipalType, name: string): boolean =>
  FORMS[type].some((form) => form.test(name));

const ARN_PARTS = /^arn:[^:]+:(?:iam|sts)::(\d{12}):(.+)$/;

/**
 * Whether AWS principals of a policy cover a caller: by itself, by the role behind its session, or by its account
 * (an account principal means everyone whom the account's own policies let).
 */
export function coversCaller(principals: Principals, callerArn: string): boolean {
  if (principals === '*') return true;
  const [, account, caller] = ARN_PARTS.exec(callerArn) ?? [];
  const role = /^assumed-role\/([^/]+)\//.exec(caller ?? '')?.[1];
  return (principals.AWS ?? []).some((name) => {
    if (name === '*' || name === callerArn || name === account) return true;
    const [, named, resource] = ARN_PARTS.exec(name) ?? [];
    if (account === undefined || named !== account) return false;
    // A session's ARN does not tell the role's path.
    return (
      resource === 'root' || (role !== undefined && /^role\//.test(resource!) && resource!.split('/').at(-1) === role)
    );
  });
}
