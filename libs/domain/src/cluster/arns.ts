/** `resourceId`: `cluster-...`, `backup-...` or `hsm-...`. */
export const cloudHsmArn = (region: string, account: string, resourceId: string): string =>
  `arn:aws:cloudhsm:${region}:${account}:${resourceId.split('-')[0]}/${resourceId}`;

/** As the API model has it. */
export const isClusterId = (text: string): boolean => /^cluster-[2-7a-zA-Z]{11,16}$/.test(text);
