/** What can be set of apps/xks-proxy: name, what it is otherwise, what it means. The help shows them. */
export const XKS_PROXY_SETTING_TABLE = [
  ['KEYTRAIL_XKS_HOST', '127.0.0.1', 'address to listen on; elsewhere than on loopback with TLS only'],
  ['KEYTRAIL_XKS_PORT', '4600', '0 for any free one'],
  ['KEYTRAIL_XKS_URI_PATH', '/kms/xks/v1', "the store's XksProxyUriPath: [/<prefix>]/kms/xks/v1"],
  ['KEYTRAIL_XKS_TLS_CERT', 'plain HTTP', 'PEM file of the certificate chain, read again when it changes'],
  ['KEYTRAIL_XKS_TLS_KEY', 'plain HTTP', 'PEM file of its key'],
  ['KEYTRAIL_XKS_TLS_CLIENT_CA', 'none', 'PEM file of authorities: clients must have a certificate by one of them'],
  [
    'KEYTRAIL_XKS_TLS_CLIENT_NAME',
    'any',
    'common name of that certificate: cks.kms.<region>.amazonaws.com for AWS KMS',
  ],
  ['KEYTRAIL_XKS_ALLOW_PLAIN_HTTP', 'false', 'true where something before it ends TLS'],
  ['KEYTRAIL_XKS_PKCS11_MODULE', 'needed', "path of the vendor's PKCS#11 module"],
  ['KEYTRAIL_XKS_PKCS11_TOKEN', 'needed', 'label of the token'],
  ['KEYTRAIL_XKS_PKCS11_PIN_FILE', 'needed', "file with the PIN of the token's user (0600)"],
  ['KEYTRAIL_XKS_PKCS11_SESSIONS', '4', 'sessions, and so calls of the HSM at once'],
  [
    'KEYTRAIL_XKS_ACCESS_FILE',
    'data/xks/access.json',
    'credentials, and which keys are disabled (0600); read again when it changes',
  ],
  ['KEYTRAIL_XKS_HSM_TIMEOUT_MS', '200', 'how long a request waits for the HSM; AWS KMS itself waits 250 ms in all'],
  [
    'KEYTRAIL_XKS_HEALTH_KEY',
    'keytrail-xks-health',
    'label of a key that health is tried with, made where there is none',
  ],
  ['KEYTRAIL_XKS_FLEET_SIZE', '1', 'how many such proxies there are: GetHealthStatus says so'],
] as const;

export type XksProxySetting = (typeof XKS_PROXY_SETTING_TABLE)[number][0];

export const XKS_PROXY_SETTINGS: readonly string[] = XKS_PROXY_SETTING_TABLE.map(([name]) => name);
