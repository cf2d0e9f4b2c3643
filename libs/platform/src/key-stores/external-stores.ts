import { readFileSync } from 'node:fs';
import { checkXks, connectXks, type XksProxyOptions } from '#hsm/xks/xks-connection';
import type { Settings } from '../settings';
import type { ExternalTarget, StoreConnectors } from './store-connectors';

/** External key stores, reached as the settings say. */
export function externalStores({ xks }: Pick<Settings, 'xks'>): Pick<StoreConnectors, 'external' | 'probe'> {
  const ca = xks.ca === undefined ? undefined : readFileSync(xks.ca);
  const optionsOf = ({ ref, backing, secretAccessKey }: ExternalTarget): XksProxyOptions => ({
    ...{ uriEndpoint: backing.uriEndpoint, uriPath: backing.uriPath },
    ...{ accessKeyId: backing.accessKeyId, secretAccessKey },
    ...{ region: ref.region, allowLoopback: xks.allowLoopback, ca },
  });
  return {
    external: (target) => connectXks(optionsOf(target)),
    probe: async (target, reason) => {
      await checkXks(optionsOf(target), reason);
    },
  };
}
