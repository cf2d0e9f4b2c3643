import { StoreError } from '#hsm/key-store/store-connection';
import type { ProxyHealth as Told } from '#xks/replies';
import { ProxyHealth } from './proxy-health';

const well = { health: {} as Told };
const ill = (why: string) => ({ error: new StoreError('unreachable', why) });

test('the health of each proxy is as it was last told, and each change is said once', () => {
  const said: [string, string | undefined][] = [];
  const health = new ProxyHealth((...change) => said.push(change));
  expect(health.isHealthy('a')).toBe(true);
  for (const outcome of [well, ill('no answer'), ill('no answer'), ill('all unavailable')]) health.tell('a', outcome);
  expect([health.isHealthy('a'), health.isHealthy('b')]).toEqual([false, true]);
  health.tell('a', well);
  health.tell('a', well);
  expect(health.isHealthy('a')).toBe(true);
  expect(said).toEqual([
    ['a', 'no answer'],
    ['a', 'all unavailable'],
    ['a', undefined],
  ]);
});
