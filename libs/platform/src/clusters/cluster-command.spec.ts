import type { WorkerCommand } from '#operations/operation';
import { clusterCommandOf } from './cluster-command';

const hsmId = 'hsm-aaaaaaaaaaa';
const backupId = 'backup-aaaaaaaaaaa';
const COMMANDS: WorkerCommand<'cluster'>[] = [
  { type: 'CreateHsm', hsmId, zone: 'us-east-1a', eniId: 'eni-0123456789abcdef0', backupId },
  { type: 'CreateHsm', hsmId, zone: 'us-east-1a', eniId: 'eni-0123456789abcdef0', backupId, ipAddress: '10.0.0.1' },
  { type: 'RecordHsmCreated', hsmId, backedUp: false },
  {
    ...{ type: 'RecordHsmCreated', hsmId, backedUp: true },
    csr: '-----BEGIN CERTIFICATE REQUEST-----\nMII+/=\n-----END CERTIFICATE REQUEST-----\n',
  },
  { type: 'RecordHsmFailed', hsmId, reason: 'Its folder could not be made (ENOSPC).' },
  { type: 'RecordClusterActivated' },
  { type: 'RecordHsmDeleted', hsmId, backedUp: true },
  { type: 'RecordBackupDeleted', backupId },
];

describe('what a crypto-worker has appended about a cluster', () => {
  it.each(COMMANDS)('is read as it was written: $type', (command) => {
    expect(clusterCommandOf(JSON.parse(JSON.stringify(command)))).toEqual(command);
  });

  it.each(COMMANDS)('is refused with any member amiss, which is named: $type', (command) => {
    for (const name of Object.keys(command)) {
      for (const wrong of [7, null, {}, 'x y\nz']) {
        expect(() => clusterCommandOf({ ...command, [name]: wrong })).toThrow(
          expect.objectContaining({
            code: 'ValidationException',
            message: expect.stringMatching(`^${name}: expected`),
          }),
        );
      }
    }
  });

  it('is no command that an operation alone may give', () => {
    for (const type of ['DeleteCluster', 'DeleteHsm', 'CreateCluster', undefined]) {
      expect(() => clusterCommandOf({ type })).toThrow(/type: expected/);
    }
  });
});
