import { KmsError } from '#domain/errors';
import { rootCaller } from '../../../test/support/root-caller';
import { type DataPorts, data, type PlanePorts } from './operation';
import { runOperation } from './run-operation';

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
  const call = {
    requestId: 'request-1',
    operation: 'GenerateRandom',
    now: '2026-01-01T00:00:00.000Z',
    resolveCaller: () => rootCaller('us-east-1', '000000000000'),
  };
  const run = () => runOperation(operation, Buffer.from('{}'), call, ports, () => {});
  expect(await run()).toMatchObject({ status: 200, body: '{"Plaintext":"AAAA"}' });
  takesLong = true;
  expect(await run()).toMatchObject({ status: 500, error: 'KMSInternalException' });
});
