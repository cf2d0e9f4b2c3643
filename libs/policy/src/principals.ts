import type { NamedIds } from '#domain/named-ids';
import type { Listed } from './document';
import type { Principal } from './request';

/** `*`, or the names under each type. `{"AWS": "*"}` stays as written: it does not cover services. */
export type Principals = '*' | Partial<Record<PrincipalType, string[]>>;

export type PrincipalType = 'AWS' | 'Service' | 'Federated' | 'CanonicalUser';

const IAM_NAME = String.raw`[\w+=,.@-]+`;
// Printable ASCII but for the separator and wildcards, which no principal may hold.
const IAM_PATH = String.raw`(?:[\x21-\x29\x2b-\x2e\x30-\x3e\x40-\x7e]+\/)*`;
const HOST = /^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?:\/[\w./-]*)?$/;

/** What a policy shows once the user or role it named is gone. */
const UNIQUE_ID = /^A(?:ID|RO)A[A-Z0-9]{8,124}$/;

const AWS_FORMS = [
  /^\*$/,
  /^\d{12}$/,
  /^arn:aws[a-z-]*:iam::\d{12}:root$/,
  new RegExp(`^arn:aws[a-z-]*:iam::\\d{12}:(?:user|role)/${IAM_PATH}${IAM_NAME}$`),
  new RegExp(`^arn:aws[a-z-]*:sts::\\d{12}:assumed-role/${IAM_NAME}/${IAM_NAME}$`),
  new RegExp(`^arn:aws[a-z-]*:sts::\\d{12}:federated-user/${IAM_NAME}$`),
  UNIQUE_ID,
];

const FORMS: Record<PrincipalType, RegExp[]> = {
  AWS: AWS_FORMS,
  Service: [HOST],
  Federated: [HOST, /^arn:aws[a-z-]*:iam::\d{12}:(?:saml|oidc)-provider\/[\w+=,.@/:-]+$/],
  CanonicalUser: [/^[0-9a-f]{64}$/],
};

export const isPrincipalType = (type: string): type is PrincipalType => Object.hasOwn(FORMS, type);

export const isUniqueId = (name: string): boolean => UNIQUE_ID.test(name);

/** Whether the name has one of the forms of its type. Whether such a principal exists is not asked here. */
export const isPrincipalName = (type: PrincipalType, name: string): boolean =>
  FORMS[type].some((form) => form.test(name));

/**
 * How a name covers a caller, from weak to strong. `account`: through its account, whose own policies decide further.
 * `name`: as user, as role of a session, as everybody. `session`: the session by its own ARN.
 */
export type Covers = 'account' | 'name' | 'session';

/** The principals of a statement, prepared. */
export interface CompiledPrincipals {
  not: boolean;
  anyone: boolean;
  anyAws: boolean;
  /** ARNs of users, roles and sessions, and unique ids. */
  names: ReadonlySet<string>;
  /** Account numbers, also of root ARNs. */
  accounts: ReadonlySet<string>;
  services: ReadonlySet<string>;
}

const ROOT = /^arn:[^:]+:iam::(\d{12}):root$/;
const accountNamed = (name: string): string | undefined => {
  if (name.length === 12) return /^\d{12}$/.test(name) ? name : undefined;
  return name.endsWith(':root') ? ROOT.exec(name)?.[1] : undefined;
};

export function compilePrincipals({ not, of }: Listed<Principals>): CompiledPrincipals {
  const names = of === '*' ? [] : (of.AWS ?? []);
  const accounts = names.flatMap((name) => accountNamed(name) ?? []);
  return {
    not,
    anyone: of === '*',
    anyAws: names.includes('*'),
    names: new Set(names.filter((name) => name !== '*' && accountNamed(name) === undefined)),
    accounts: new Set(accounts),
    services: new Set(of === '*' ? [] : of.Service),
  };
}

/** Whether the ARN, in a policy that was put with these ids, meant a principal since deleted whose name the caller has. */
const meantAnother = (arn: string, { uniqueId }: Principal, namedIds: NamedIds | undefined): boolean => {
  const meant = namedIds?.[arn];
  return meant !== undefined && meant !== uniqueId;
};

/**
 * How the listed principals cover the caller (NotPrincipal not yet negated). `namesake`: whether it counts where an ARN
 * meant another of the caller's name.
 */
function covered(
  listed: CompiledPrincipals,
  caller: Principal,
  namedIds: NamedIds | undefined,
  namesake: boolean,
): Covers | undefined {
  if (caller.kind === 'service') return listed.anyone || listed.services.has(caller.arn) ? 'name' : undefined;
  const { names } = listed;
  if (names.size > 0 && caller.kind !== 'root') {
    const { arn, roleArn } = caller;
    if (names.has(arn) && (namesake || !meantAnother(arn, caller, namedIds))) {
      return caller.kind === 'role-session' ? 'session' : 'name';
    }
    if (names.has(caller.uniqueId)) return 'name';
    if (roleArn !== undefined && names.has(roleArn) && (namesake || !meantAnother(roleArn, caller, namedIds))) {
      return 'name';
    }
  }
  if (listed.anyone || listed.anyAws) return 'name';
  if (!listed.accounts.has(caller.account)) return undefined;
  return caller.kind === 'root' ? 'name' : 'account';
}

/**
 * How a statement covers the caller, or undefined where it does not. NotPrincipal errs against the caller: an account
 * named there takes all of its principals out of an Allow, but only its root out of a Deny. So does the ARN of a
 * principal that was deleted and whose name the caller has: what it names is denied to the caller, or taken out of an Allow,
 * but nothing is allowed or spared to it. `namedIds`: of the policy.
 * Source: IAM User Guide, "JSON policy elements: Principal" and "NotPrincipal".
 */
export function covers(
  listed: CompiledPrincipals,
  effect: 'Allow' | 'Deny',
  caller: Principal,
  namedIds: NamedIds | undefined,
): Covers | undefined {
  const how = covered(listed, caller, namedIds, (effect === 'Deny') !== listed.not);
  if (!listed.not) return how;
  const exempt = effect === 'Allow' ? how !== undefined : how !== undefined && how !== 'account';
  return exempt ? undefined : 'name';
}

/** The unique id that an ARN of the caller's own meant, where that was another principal, since deleted. */
export function namesakeOf(
  { names }: CompiledPrincipals,
  caller: Principal,
  namedIds: NamedIds | undefined,
): string | undefined {
  const arn = [caller.arn, caller.roleArn].find(
    (each) => each !== undefined && names.has(each) && meantAnother(each, caller, namedIds),
  );
  return arn && namedIds?.[arn];
}

/** How the one name of a grant covers the caller. Whether it meant another of that name is for the caller of this to see. */
export function namesCaller(name: string, caller: Principal): Covers | undefined {
  if (name === caller.arn) return caller.kind === 'role-session' ? 'session' : 'name';
  if (name === caller.uniqueId || (caller.roleArn !== undefined && name === caller.roleArn)) return 'name';
  return caller.kind !== 'service' && accountNamed(name) === caller.account ? 'account' : undefined;
}
