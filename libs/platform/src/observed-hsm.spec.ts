import { type HsmProvider, HsmUnavailableError, WrappedMaterialError } from '#hsm/hsm-provider';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import { Metrics } from './metrics';
import { ObservedHsmProvider } from './observed-hsm';

const ROOT_KEY = Buffer.alloc(32, 7).toString('base64');
const AAD = Buffer.from('aad');

let metrics: Metrics;
let software: SoftwareHsmProvider;
/** What the provider does instead of what it should. */
let fault: (() => Promise<never>) | undefined;
let provider: ObservedHsmProvider;

beforeEach(() => {
  metrics = new Metrics();
  software = SoftwareHsmProvider.open({ rootKeyBase64: ROOT_KEY, mayCreate: false });
  fault = undefined;
  const faulty: HsmProvider = {
    name: 'software',
    currentEpoch: () => software.currentEpoch(),
    wrap: (material, aad) => fault?.() ?? software.wrap(material, aad),
    unwrap: (wrapped, aad) => fault?.() ?? software.unwrap(wrapped, aad),
    random: (length) => fault?.() ?? software.random(length),
    check: () => fault?.() ?? software.check(),
    makeEpoch: (epoch) => software.makeEpoch(epoch),
    use: (key) => software.use(key),
    destroyEpoch: (epoch) => software.destroyEpoch(epoch),
    close: () => software.close(),
  };
  provider = new ObservedHsmProvider(faulty, metrics, { ageMs: -1, waitMs: 1 });
});

const figure = async (series: string): Promise<number> => {
  const line = (await metrics.registry.metrics()).split('\n').find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length));
};
const errors = (operation: string, reason: string): Promise<number> =>
  figure(`keytrail_hsm_errors_total{provider="software",operation="${operation}",reason="${reason}"}`);
const calls = (operation: string): Promise<number> =>
  figure(`keytrail_hsm_call_duration_seconds_count{provider="software",operation="${operation}"}`);

test('what the provider does comes through, and is counted', async () => {
  const wrapped = await provider.wrap(Buffer.from('material'), AAD);
  expect((await provider.unwrap(wrapped, AAD)).toString()).toBe('material');
  expect(await provider.random(16)).toHaveLength(16);
  expect(await Promise.all(['wrap', 'unwrap', 'random'].map(calls))).toEqual([1, 1, 1]);
  expect(await errors('unwrap', 'altered')).toBe(0);
});

test('altered material is told from a provider that is out of reach, does not answer in time, or fails otherwise', async () => {
  const wrapped = await provider.wrap(Buffer.from('material'), AAD);
  await expect(provider.unwrap(wrapped, Buffer.from('other'))).rejects.toThrow(WrappedMaterialError);
  const failures = [
    new HsmUnavailableError('gone'),
    Object.assign(new Error('slow'), { code: 'ETIMEDOUT' }),
    new TypeError('broken'),
  ];
  for (const failure of failures) {
    fault = () => Promise.reject(failure);
    await expect(provider.unwrap(wrapped, AAD)).rejects.toBe(failure);
  }
  const counted = await Promise.all(['altered', 'unavailable', 'timeout', 'other'].map((why) => errors('unwrap', why)));
  expect(counted).toEqual([1, 1, 1, 1]);
  expect(await calls('unwrap')).toBe(4);
});

test('a provider is up while its check goes well', async () => {
  expect(await figure('keytrail_hsm_up')).toBe(1);
  fault = () => Promise.reject(new HsmUnavailableError('gone'));
  expect(await figure('keytrail_hsm_up')).toBe(0);
  expect(await errors('check', 'unavailable')).toBeGreaterThan(0);
  fault = undefined;
  expect(await figure('keytrail_hsm_up')).toBe(1);
});

test('a provider that never answers is down, and does not hold up who reads the metrics', async () => {
  fault = () => new Promise(() => {});
  expect(await figure('keytrail_hsm_up')).toBe(0);
  expect(await errors('check', 'timeout')).toBeGreaterThan(0);
});
