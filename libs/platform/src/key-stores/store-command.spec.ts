import type { WorkerCommand } from '#operations/operation';
import { storeCommandOf } from './store-command';

const CLUSTER = { storeType: 'AWS_CLOUDHSM', clusterId: 'cluster-abcdefghijk', trustAnchorCertificate: 'PEM' } as const;
const PROXY = {
  storeType: 'EXTERNAL_KEY_STORE',
  uriEndpoint: 'https://proxy.example.com',
  uriPath: '/kms/xks/v1',
  accessKeyId: 'ABCDEFGHIJKLMNOPQRST',
} as const;

const COMMANDS: WorkerCommand<'customKeyStore'>[] = [
  { type: 'CreateCustomKeyStore', name: 'a', backing: CLUSTER, secretId: 'secret' },
  { type: 'CreateCustomKeyStore', name: 'a', backing: PROXY, secretId: 'secret' },
  { type: 'UpdateCustomKeyStore', name: 'b' },
  { type: 'UpdateCustomKeyStore', uriPath: '/a/kms/xks/v1', accessKeyId: 'B', secretId: 'other' },
  { type: 'RecordConnected', attempt: 1 },
  { type: 'RecordConnectionFailed', attempt: 2, code: 'INTERNAL_ERROR' },
  { type: 'RecordDisconnected', attempt: 3 },
];

const read = (command: object) => storeCommandOf(JSON.parse(JSON.stringify(command)) as Record<string, unknown>);

test.each(COMMANDS)('%j comes over NATS as it is', (command) => {
  expect(read({ ...command, more: 'not taken' })).toEqual(command);
});

test.each<[string, object]>([
  ['type', { type: 'DeleteCustomKeyStore' }],
  ['name', { ...COMMANDS[0], name: 1 }],
  ['backing', { ...COMMANDS[0], backing: undefined }],
  ['storeType', { ...COMMANDS[0], backing: { ...CLUSTER, storeType: 'OTHER' } }],
  ['clusterId', { ...COMMANDS[0], backing: { ...CLUSTER, clusterId: '' } }],
  ['secretId', { ...COMMANDS[0], secretId: 'a.b' }],
  ['uriEndpoint', { ...COMMANDS[1], backing: { ...PROXY, uriEndpoint: 7 } }],
  ['uriPath', { ...COMMANDS[3], uriPath: null }],
  ['attempt', { ...COMMANDS[4], attempt: -1 }],
  ['code', { ...COMMANDS[5], code: 'NO_CODE' }],
])('a wrong %s is named', (name, command) => {
  expect(() => read(command)).toThrow(
    expect.objectContaining({ code: 'ValidationException', message: expect.stringContaining(`${name}: expected`) }),
  );
});
