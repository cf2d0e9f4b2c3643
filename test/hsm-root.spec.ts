import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, DecryptCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { until } from './support/nats-server';
import { type KeytrailProcess, startProcess } from './support/processes';
import { type SoftHsm, softHsm, softHsmModule } from './support/softhsm';

const modulePath = softHsmModule();
const PIN = '1234-user';
const Plaintext = Buffer.from('rooted in an HSM');

/** Those that a process has started, with the name of what they run. */
const childrenOf = (pid: number): { pid: number; command: string }[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'latin1'))![1]);
        const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return parent === pid ? [{ pid: Number(name), command }] : [];
      } catch {
        return [];
      }
    });

(modulePath === undefined ? describe.skip : describe)('keys rooted in an HSM', () => {
  let dataDir: string;
  let hsm: SoftHsm;
  let settings: Record<string, string>;
  let server: KeytrailProcess;
  let CiphertextBlob: Uint8Array;

  const start = async (more: Record<string, string> = {}): Promise<void> => {
    server = await startProcess(dataDir, { ...settings, ...more });
  };
  const newKey = async (): Promise<string> => (await server.kms.send(new CreateKeyCommand({}))).KeyMetadata!.KeyId!;
  const tokenProcess = () => childrenOf(server.pid).find(({ command }) => command.includes('token-process'));

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'keytrail-hsm-root-'));
    hsm = softHsm(modulePath!, { pin: PIN });
    const pinFile = join(hsm.folder, 'pin');
    writeFileSync(pinFile, `${PIN}\n`, { mode: 0o600 });
    settings = {
      ...hsm.environment,
      KEYTRAIL_ROOT: 'pkcs11',
      KEYTRAIL_PKCS11_MODULE: modulePath!,
      KEYTRAIL_PKCS11_TOKEN: hsm.label,
      KEYTRAIL_PKCS11_PIN_FILE: pinFile,
    };
    await start();
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(dataDir, { recursive: true, force: true });
    hsm.remove();
  });

  test('are made, used, and used again after a restart', async () => {
    ({ CiphertextBlob } = (await server.kms.send(new EncryptCommand({ KeyId: await newKey(), Plaintext }))) as {
      CiphertextBlob: Uint8Array;
    });
    await server.stop();
    await start();
    expect(Buffer.from((await server.kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext!)).toEqual(Plaintext);
  });

  test('no root key is on the disk beside them, and the PIN is in no command line', () => {
    expect(readdirSync(dataDir)).not.toContain('root');
    const { pid, command } = tokenProcess()!;
    expect(command).not.toContain(PIN);
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    expect(environment).toContain('SOFTHSM2_CONF');
    expect(environment).not.toMatch(/KEYTRAIL_|1234-user/);
  });

  test('go on when the process of the HSM is killed, or hangs', async () => {
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      const { pid } = tokenProcess()!;
      process.kill(pid, signal);
      // In memory already: the HSM is not asked.
      await server.kms.send(new DecryptCommand({ CiphertextBlob }));
      await until(
        async () =>
          newKey().then(
            () => true,
            () => false,
          ),
        'no key can be made',
      );
      expect(tokenProcess()!.pid).not.toBe(pid);
    }
  });

  test.each<[string, () => Record<string, string>, RegExp]>([
    [
      'a wrong PIN',
      () => ({ KEYTRAIL_PKCS11_PIN_FILE: file('wrong', 'no-such-pin') }),
      /the token keytrail: open: CKR_PIN_INCORRECT/,
    ],
    ['no PIN', () => ({ KEYTRAIL_PKCS11_PIN_FILE: join(hsm.folder, 'nothing') }), /nothing: missing; write the PIN/],
    [
      'a PIN that others may read',
      () => ({ KEYTRAIL_PKCS11_PIN_FILE: file('open', PIN, 0o644) }),
      /others may read or write the PIN; run: chmod 600/,
    ],
    [
      'no module',
      () => ({ KEYTRAIL_PKCS11_MODULE: '/nowhere.so' }),
      /nowhere.so: no PKCS#11 module that can be loaded/,
    ],
    [
      'a root key in software',
      () => ({
        KEYTRAIL_ROOT: '',
        KEYTRAIL_PKCS11_MODULE: '',
        KEYTRAIL_PKCS11_TOKEN: '',
        KEYTRAIL_PKCS11_PIN_FILE: '',
      }),
      /root-key.json: missing, but there is key material that it wrapped/,
    ],
  ])('a start is refused with %s', async (_what, changed, message) => {
    await server.stop();
    await expect(startProcess(dataDir, { ...settings, ...changed() })).rejects.toThrow(message);
    await start();
  });

  const file = (name: string, text: string, mode = 0o600): string => {
    const path = join(hsm.folder, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
});
