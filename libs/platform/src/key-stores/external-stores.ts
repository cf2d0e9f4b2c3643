import { readFileSync } from 'node:fs';
import { type HealthOutcome, pollHealth } from '#hsm/xks/health-poll';
import { checkXks, connectXks, type XksProxyOptions } from '#hsm/xks/xks-connection';
import type { Settings } from '../settings';
import type { ExternalTarget, StoreConnectors } from './store-connectors';

/** As AWS KMS does. */
const HEALTH_EVERY_MS = 60_000;

/** What a proxy says of itself, or that it says nothing: told at each poll. */
export type TellHealth = (storeId: string, outcome: HealthOutcome) => void;

/** External key stores, reached as the settings say. The health of each is asked for as long as it is connected. */
export function externalStores(
  { xks }: Pick<Settings, 'xks'>,
  tell: TellHealth,
): Pick<StoreConnectors, 'external' | 'probe'> {
  const ca = xks.ca === undefined ? undefined : readFileSync(xks.ca);
  const optionsOf = ({ ref, backing, secretAccessKey }: ExternalTarget): XksProxyOptions => ({
    ...{ uriEndpoint: backing.uriEndpoint, uriPath: backing.uriPath },
    ...{ accessKeyId: backing.accessKeyId, secretAccessKey },
    ...{ region: ref.region, allowLoopback: xks.allowLoopback, ca },
  });
  return {
    async external(target) {
      const connection = await connectXks(optionsOf(target));
      const endPolling = pollHealth(connection, HEALTH_EVERY_MS, (outcome) => tell(target.ref.id, outcome));
      const close = connection.close.bind(connection);
      connection.close = async () => {
        endPolling();
        await close();
      };
      return connection;
    },
    async probe(target, reason) {
      await checkXks(optionsOf(target), reason);
    },
  };
}
