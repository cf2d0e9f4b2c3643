import { spawnSync } from 'node:child_process';
import { connect, type NatsConnection } from 'nats';
import { benchLog, fill } from '../bench/cases/replay';
import { startNats, type TestNats } from './support/nats-server';
import { MAIN } from './support/processes';

/** Their history is longer than what a pipe holds, so that its reader is gone while there is more to say. */
const COMMITS = 2_000;
const PIPE_BYTES = 65_536;

let server: TestNats;
let nats: NatsConnection;

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  await fill(nats, benchLog(COMMITS));
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

/** As bash runs it: what was printed, on each stream, and how the command of Keytrail ended. */
const piped = (pipe: string) =>
  spawnSync('bash', ['-c', `"$@" ${pipe}; exit "\${PIPESTATUS[0]}"`, 'bash', process.execPath, MAIN, 'replay'], {
    env: { ...process.env, KEYTRAIL_NATS_URL: server.url },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });

test('a command whose output is read to its end says all, and ends with 0', () => {
  const { status, stdout } = piped('| cat');
  expect(status).toBe(0);
  expect(stdout.length).toBeGreaterThan(2 * PIPE_BYTES);
  expect(stdout).toContain(`description ${COMMITS}`);
});

test('a command whose output nobody reads any more ends with 141, as by SIGPIPE, without a stack trace', () => {
  const { status, stdout, stderr } = piped('| head -1');
  expect(stdout).toMatch(/^arn:aws:kms:\S+\n$/);
  expect(status).toBe(141);
  expect(stderr).not.toMatch(/EPIPE|^ {4}at /m);
});

describe('what is not understood is said by the name of the program, with the help that applies', () => {
  const said = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });

  test('a command that there is not', () => {
    expect(said('staus')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: "keytrail: unknown command 'staus'\n(Did you mean status?)\n(see keytrail --help)\n",
    });
  });

  test('an argument that is missing', () => {
    expect(said('clock', 'advance')).toMatchObject({
      status: 1,
      stderr: "keytrail: missing required argument 'duration'\n(see keytrail clock advance --help)\n",
    });
  });

  test('no command starts nothing', () => {
    const { status, stderr } = said();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Usage: keytrail /);
  });
});
