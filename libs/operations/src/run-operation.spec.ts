import { KmsError } from '#domain/errors';
import { ConflictError } from '#event-store/event-store';
import { ACCOUNT, MemoryOperations } from '../../../test/support/memory-operations';
import { rootCaller } from '../../../test/support/root-caller';
import { endDryRun } from './dry-run';
import {
  type ControlPorts,
  control,
  type DataPorts,
  data,
  type Operation,
  type PlanePorts,
  waitingData,
} from './operation';
import { runOperation } from './run-operation';

describe('a refusal', () => {
  test.each([
    ['DescribeKey', {}, 'ValidationException'],
    ['DescribeKey', { KeyId: 1 }, 'SerializationException'],
    ['Encrypt', { KeyId: 'k', Plaintext: '!' }, 'SerializationException'],
  ])('of the form of a request does not trouble the log: %s %j', async (operation, input, code) => {
    const operations = new MemoryOperations();
    expect(await operations.call(operation, input)).toMatchObject({ code });
    expect(operations.askedWhetherBehind).toBe(0);
  });

  test.each([
    ['GenerateDataKey', {}, 'ValidationException'],
    ['Encrypt', { Plaintext: 'AAAA', DryRun: true }, 'DryRunOperationException'],
    ['CreateGrant', { GranteePrincipal: ACCOUNT, Operations: ['Decrypt'], DryRun: true }, 'DryRunOperationException'],
  ])('that no view is the reason of does not trouble it either: %s %j', async (operation, input, code) => {
    const operations = new MemoryOperations();
    const { KeyId } = await operations.newKey();
    expect(await operations.call(operation, { KeyId, ...input })).toMatchObject({ code });
    expect(operations.askedWhetherBehind).toBe(0);
  });

  test.each([
    ['DescribeKey', { KeyId: 'k' }],
    ['Encrypt', { KeyId: 'k', Plaintext: 'AAAA' }],
  ])('that the view is the reason of counts once the log has been asked: %s', async (operation, input) => {
    const operations = new MemoryOperations();
    expect(await operations.call(operation, input)).toMatchObject({ code: 'NotFoundException' });
    expect(operations.askedWhetherBehind).toBe(1);
  });
});

const call = {
  requestId: 'request-1',
  operation: 'Test',
  now: () => '2026-01-01T00:00:00.000Z',
  resolveCaller: () => rootCaller('us-east-1', '000000000000'),
};

test('a refusal on a view that heard of the rest right after it does not count either', async () => {
  const projection = { position: 1 };
  const newest = 2;
  const operation = control({
    name: 'ListKeys',
    request: class {},
    run: () => {
      if (projection.position === newest) return { Keys: [] };
      projection.position = newest;
      throw new KmsError('AccessDeniedException', 'not yet');
    },
  });
  const asked = { projection, wasBehind: async (held: number) => newest > held };
  const serving: PlanePorts['serving'] = { assertHeld() {}, begin: () => ({ assertNotOver() {}, end() {} }) };
  const ports: PlanePorts = {
    control: asked as unknown as ControlPorts,
    serving,
    grantTokens: {} as PlanePorts['grantTokens'],
  };
  expect(await runOperation(operation, Buffer.from('{}'), call, ports, () => {})).toMatchObject({ status: 200 });
});

/** A refusal that only the state which it was made on can explain. */
const gone = (): never => {
  throw new KmsError('NotFoundException', 'gone');
};
const passed = (): undefined => endDryRun(true) as undefined;

test.each([
  ['DeleteAlias', gone, ['settled', 'answered']],
  ['ListAliases', gone, ['answered']],
  ['RevokeGrant', passed, ['answered']],
])(
  'a refusal that may mean that an earlier try changed it waits for what that one waited for: %s',
  async (name, run, order) => {
    const seen: string[] = [];
    const ofControl = {
      projection: { position: 1 },
      wasBehind: async () => false,
      revocationsSettled: async () => {
        seen.push('settled');
      },
    };
    const serving: PlanePorts['serving'] = { assertHeld() {}, begin: () => ({ assertNotOver() {}, end() {} }) };
    const ports: PlanePorts = {
      control: ofControl as unknown as ControlPorts,
      serving,
      grantTokens: {} as PlanePorts['grantTokens'],
    };
    const operation = control({ name, request: class {}, run });
    const reply = await runOperation(operation, Buffer.from('{}'), { ...call, operation: name }, ports, () => {});
    seen.push('answered');
    expect(reply.status).toBe(400);
    expect(seen).toEqual(order);
  },
);

test.each<[string, Operation]>([
  ['control', control({ name: 'ListAliases', request: class {}, run: gone })],
  ['data', data({ name: 'Encrypt', request: class {}, run: gone })],
  ['waiting data', waitingData({ name: 'CreateAccessKey', request: class {}, runAsync: async () => gone() })],
])('without the right to serve nobody is told what an outdated view has: %s', async (_plane, operation) => {
  const lost = (): never => {
    throw new KmsError('KMSInternalException', 'lost touch');
  };
  const onView = { projection: { position: 1 } };
  const ports: PlanePorts = {
    control: onView as unknown as ControlPorts,
    data: onView as unknown as DataPorts,
    serving: { assertHeld: lost, begin: lost },
    grantTokens: {} as PlanePorts['grantTokens'],
  };
  const reply = await runOperation(operation, Buffer.from('{}'), call, ports, () => {});
  expect(reply.error).toBe('KMSInternalException');
});

test('a data operation during which the right to serve ends gives nothing away', async () => {
  let held = true;
  const assertHeld = (): void => {
    if (!held) throw new KmsError('KMSInternalException', 'lost touch');
  };
  let takesLong = false;
  const operation = data({
    name: 'GenerateRandom',
    request: class {},
    run: () => {
      if (takesLong) held = false;
      return { Plaintext: 'AAAA' };
    },
  });
  const serving: PlanePorts['serving'] = { assertHeld, begin: () => ({ assertNotOver: assertHeld, end: () => {} }) };
  const ports: PlanePorts = { data: {} as DataPorts, serving, grantTokens: {} as PlanePorts['grantTokens'] };
  const run = () => runOperation(operation, Buffer.from('{}'), call, ports, () => {});
  expect(await run()).toMatchObject({ status: 200, body: '{"Plaintext":"AAAA"}' });
  takesLong = true;
  expect(await run()).toMatchObject({ status: 500, error: 'KMSInternalException' });
});

test('each try goes by the time at which it begins', async () => {
  const times = ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:09.000Z'];
  const seen: string[] = [];
  const operation = control({
    name: 'ListKeys',
    request: class {},
    run: (_request, { now }) => {
      seen.push(now);
      if (seen.length === 1) throw new ConflictError('somebody came first');
      return {};
    },
  });
  const serving: PlanePorts['serving'] = { assertHeld() {}, begin: () => ({ assertNotOver() {}, end() {} }) };
  const ports: PlanePorts = {
    control: { projection: { position: 1 } } as unknown as ControlPorts,
    serving,
    grantTokens: {} as PlanePorts['grantTokens'],
  };
  let asked = 0;
  await runOperation(operation, Buffer.from('{}'), { ...call, now: () => times[asked++]! }, ports, () => {});
  expect(seen).toEqual(times);
});
