import { KmsError } from '#domain/errors';
import { rootCaller } from '../../../test/support/root-caller';
import { MOST_UNDER_WAY, workedOut } from './off-loop';
import { type Call, type ControlPorts, control, type DataPorts, data, type PlanePorts } from './operation';
import { runOperation } from './run-operation';

class Nothing {}
const unresolved = {
  ...{ requestId: 'request-1', operation: 'Sign', now: () => '2026-01-01T00:00:00.000Z' },
  resolveCaller: () => rootCaller('us-east-1', '000000000000'),
};
const ports = { projection: { position: 1 } } as unknown as DataPorts;

function reply(run: (call: Call) => unknown, assertHeld = () => {}) {
  const operation = data<Nothing, unknown>({ name: 'Sign', request: Nothing, run: (_request, call) => run(call) });
  const serving: PlanePorts['serving'] = { assertHeld, begin: () => ({ assertNotOver() {}, end() {} }) };
  const grantTokens = {} as PlanePorts['grantTokens'];
  return runOperation(operation, Buffer.from('{}'), unresolved, { data: ports, serving, grantTokens }, () => {});
}

const refuse = (code: 'DisabledException' | 'InvalidCiphertextException'): never => {
  throw new KmsError(code, 'no');
};

test('slow work is done once, and the operation begins anew with its result', async () => {
  let [begun, done] = [0, 0];
  const { body } = await reply((call) => {
    begun++;
    return { Result: workedOut(call, 'work', async () => ++done) };
  });
  expect([JSON.parse(String(body)), begun, done]).toEqual([{ Result: 1 }, 2, 1]);
});

test('what is taken away while the work goes on is refused', async () => {
  let disabled = false;
  const { error } = await reply((call) => {
    if (disabled) refuse('DisabledException');
    return workedOut(call, 'work', async () => {
      disabled = true;
    });
  });
  expect(error).toBe('DisabledException');
});

test('a lease that runs out while the work goes on is seen', async () => {
  let held = true;
  const { error } = await reply(
    (call) =>
      workedOut(call, 'work', async () => {
        held = false;
      }),
    () => {
      if (!held) throw new KmsError('DependencyTimeoutException', 'out of touch');
    },
  );
  expect(error).toBe('DependencyTimeoutException');
});

test('what the work refuses is refused after the checks alone', async () => {
  let checks = 0;
  const { error } = await reply((call) => {
    checks++;
    return workedOut(call, 'work', async () => refuse('InvalidCiphertextException'));
  });
  expect([error, checks]).toEqual(['InvalidCiphertextException', 2]);
});

test.each(['answered', 'refused'])('bytes that the work gave are zeroised once the call is %s', async (ending) => {
  const [plain, pair] = [
    Buffer.from('secret'),
    { privateKey: Buffer.from('secret'), publicKey: Buffer.from('public') },
  ];
  let tries = 0;
  await reply((call) => {
    tries++;
    if (tries === 3 && ending === 'refused') refuse('DisabledException');
    const first = workedOut(call, 'first', async () => plain);
    const second = workedOut(call, 'second', async () => pair);
    expect([first.toString(), second.privateKey.toString()]).toEqual(['secret', 'secret']);
    return {};
  });
  expect(tries).toBe(3);
  expect([plain, pair.privateKey]).toEqual([Buffer.alloc(6), Buffer.alloc(6)]);
});

test('work that depends on what changes meanwhile without pause is given up', async () => {
  let version = 0;
  const { error } = await reply((call) => workedOut(call, `with version ${version++}`, async () => 0));
  expect(error).toBe('KMSInternalException');
});

test('of slow work so much is under way at once, and what is quick goes on', async () => {
  const ends: (() => void)[] = [];
  const slow = () => reply((call) => workedOut(call, 'work', () => new Promise<void>((end) => ends.push(end))));
  const underWay = Array.from({ length: MOST_UNDER_WAY }, slow);
  expect(await slow()).toMatchObject({ error: 'ThrottlingException', status: 400 });
  expect(await reply(() => ({}))).toMatchObject({ status: 200 });
  for (const end of ends.splice(0)) end();
  expect((await Promise.all(underWay)).filter(({ status }) => status !== 200)).toEqual([]);
  const next = slow();
  ends[0]!();
  expect(await next).toMatchObject({ status: 200 });
});

test('a control operation lets go of its right to append while work goes on, and is begun anew for the same thing', async () => {
  let open = 0;
  const openMeanwhile: number[] = [];
  const made: string[] = [];
  const serving: PlanePorts['serving'] = {
    assertHeld() {},
    begin() {
      let over = false;
      open++;
      return {
        assertNotOver() {},
        end() {
          if (!over) open--;
          over = true;
        },
      };
    },
  };
  const operation = control<Nothing, unknown>({
    name: 'CreateKey',
    request: Nothing,
    run(_request, call) {
      made.push(call.offLoop!.once('id', () => `key ${made.length}`));
      return { KeyId: workedOut(call, 'pair', async () => openMeanwhile.push(open)) && made.at(-1) };
    },
  });
  const grantTokens = {} as PlanePorts['grantTokens'];
  const controlPorts = { projection: { position: 1 } } as unknown as ControlPorts;
  const all = { control: controlPorts, serving, grantTokens };
  const { body } = await runOperation(operation, Buffer.from('{}'), unresolved, all, () => {});
  expect([JSON.parse(String(body)), made, openMeanwhile, open]).toEqual([
    { KeyId: 'key 0' },
    ['key 0', 'key 0'],
    [0],
    0,
  ]);
});
