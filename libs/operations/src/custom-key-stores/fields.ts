import { proxyEndpoint } from '#xks/paths';
import { type Constraint, wholly } from '../wire/constraints';

export const CUSTOM_KEY_STORE_ID = { kind: 'string', min: 1, max: 64 } as const satisfies Constraint;
export const NAME = { kind: 'string', min: 1, max: 256 } as const satisfies Constraint;
export const CLUSTER_ID = {
  ...{ kind: 'string', min: 19, max: 24 },
  pattern: wholly('cluster-[2-7a-zA-Z]{11,16}'),
} as const satisfies Constraint;
export const PASSWORD = { kind: 'string', min: 7, max: 32, sensitive: true } as const satisfies Constraint;
export const TRUST_ANCHOR = { kind: 'string', min: 1, max: 5000 } as const satisfies Constraint;
export const STORE_TYPE = {
  kind: 'enum',
  values: ['AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'],
} as const satisfies Constraint;
const PUBLIC_ENDPOINT = /^https:\/\/[a-zA-Z0-9.-]+$/;
export const URI_ENDPOINT = {
  ...{ kind: 'string', min: 10, max: 128 },
  // Whether a proxy may be on this machine, and then on any port, the settings say: libs/xks/src/paths.ts.
  pattern: {
    source: '^https://[a-zA-Z0-9.-]+$',
    test: (text: string) => proxyEndpoint(text, true) !== undefined || PUBLIC_ENDPOINT.test(text),
  },
} as const satisfies Constraint;
export const URI_PATH = {
  ...{ kind: 'string', min: 10, max: 128 },
  pattern: wholly('^(/[a-zA-Z0-9\\/_-]+/kms/xks/v\\d{1,2})$|^(/kms/xks/v\\d{1,2})$'),
} as const satisfies Constraint;
export const VPC_SERVICE = {
  ...{ kind: 'string', min: 20, max: 64 },
  pattern: wholly('^(com|eu)\\.amazonaws\\.vpce\\.([a-z]+-){2,3}\\d+\\.vpce-svc-[0-9a-z]+$'),
} as const satisfies Constraint;
export const VPC_SERVICE_OWNER = {
  ...{ kind: 'string', min: 12, max: 12 },
  pattern: wholly('[0-9]{12}'),
} as const satisfies Constraint;
/** Sensitive in the API model, as its name is told by DescribeCustomKeyStores all the same. */
const ACCESS_KEY_ID = {
  ...{ kind: 'string', min: 20, max: 30, sensitive: true },
  pattern: wholly('^[A-Z2-7]+$'),
} as const satisfies Constraint;
const SECRET_ACCESS_KEY = {
  ...{ kind: 'string', min: 43, max: 64, sensitive: true },
  pattern: wholly('^[a-zA-Z0-9\\/+=]+$'),
} as const satisfies Constraint;
export const CREDENTIAL = {
  kind: 'structure',
  members: {
    AccessKeyId: { constraint: ACCESS_KEY_ID, required: true },
    RawSecretAccessKey: { constraint: SECRET_ACCESS_KEY, required: true },
  },
} as const satisfies Constraint;
export const CONNECTIVITY = {
  kind: 'enum',
  values: ['PUBLIC_ENDPOINT', 'VPC_ENDPOINT_SERVICE'],
} as const satisfies Constraint;
export const XKS_KEY_ID = {
  kind: 'string',
  min: 1,
  max: 128,
  pattern: /^[a-zA-Z0-9-_.]+$/,
} as const satisfies Constraint;
