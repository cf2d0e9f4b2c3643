import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { connectXks } from '#hsm/xks/xks-connection';
import { softHsm, softHsmModule } from '../../test/support/softhsm';
import { xksSettings } from '../../test/support/xks-proxy';
import { type Measure, onOneAndMany, type Scenario } from '../case';
import { callLoad } from '../load';
import { anyPort, ROOT, untilServed } from '../processes';

const ENCRYPT = 'XKS Encrypt, through the proxy to the token';
const DECRYPT = 'XKS Decrypt, through the proxy to the token';
const KEY = 'bench';
const WARM_UP_CALLS = 500;

/** From KMS's client of an external key store to SoftHSM behind the proxy, and back: AWS KMS waits 250 ms for it. */
export const xks: Scenario = {
  cases: onOneAndMany([{ name: ENCRYPT }, { name: DECRYPT }]),
  async open(processes) {
    const module = softHsmModule();
    if (module === undefined) return undefined;
    const port = await anyPort();
    const settings = xksSettings(softHsm(module, { folder: processes.folder() }), {
      KEYTRAIL_XKS_PORT: String(port),
      KEYTRAIL_LOG_LEVEL: 'warn',
    });
    const keytrail = (...args: string[]): string =>
      execFileSync(process.execPath, [join(ROOT, 'dist/apps/keytrail/src/main.js'), 'xks', ...args], {
        env: { ...process.env, ...settings },
        encoding: 'utf8',
      });
    keytrail('create-key', '--id', KEY);
    const { XksProxyAuthenticationCredential: credential } = JSON.parse(keytrail('create-credential')) as {
      XksProxyAuthenticationCredential: { AccessKeyId: string; RawSecretAccessKey: string };
    };
    const proxy = processes.node('dist/apps/xks-proxy/src/main.js', settings);
    await untilServed(`http://127.0.0.1:${port}/healthz`, proxy);
    const connection = await connectXks({
      ...{ uriEndpoint: `http://127.0.0.1:${port}`, uriPath: '/kms/xks/v1', region: 'us-east-1', allowLoopback: true },
      ...{ accessKeyId: credential.AccessKeyId, secretAccessKey: credential.RawSecretAccessKey },
      requestTimeoutMs: 5_000,
    });
    const aad = Buffer.alloc(128, 1);
    // What KMS has encrypted itself: 32 bytes of a data key, with IV, tag and header.
    const plaintext = Buffer.alloc(96, 2);
    const sealed = await connection.encrypt(KEY, plaintext, aad);
    const calls: Record<string, () => Promise<unknown>> = {
      [ENCRYPT]: () => connection.encrypt(KEY, plaintext, aad),
      [DECRYPT]: () => connection.decrypt(KEY, sealed, aad),
    };
    const measures: Record<string, Measure> = {};
    for (const [name, call] of Object.entries(calls)) {
      for (let n = 0; n < WARM_UP_CALLS; n++) await call();
      measures[name] = (inFlight, seconds) => callLoad(inFlight, seconds, call);
    }
    return measures;
  },
};
