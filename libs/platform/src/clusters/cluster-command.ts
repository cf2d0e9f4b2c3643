import { KmsError } from '#domain/errors';
import type { WorkerCommand } from '#operations/operation';

const CSR = /^-----BEGIN CERTIFICATE REQUEST-----\n[A-Za-z0-9+/=\n]{1,20000}-----END CERTIFICATE REQUEST-----\n$/;

/** The command that a crypto-worker has appended about a cluster. Throws ValidationException naming what is not as it must be. */
export function clusterCommandOf(command: Record<string, unknown>): WorkerCommand<'cluster'> {
  const { type } = command;
  const text = (name: string, pattern: RegExp): string => {
    const value = command[name];
    if (typeof value !== 'string' || !pattern.test(value)) throw expected(name, String(pattern));
    return value;
  };
  const flag = (name: string): boolean => {
    const value = command[name];
    if (typeof value !== 'boolean') throw expected(name, 'true or false');
    return value;
  };
  const hsmId = () => text('hsmId', /^hsm-[2-7a-zA-Z]{11,16}$/);
  const backupId = () => text('backupId', /^backup-[2-7a-zA-Z]{11,16}$/);
  switch (type) {
    case 'CreateHsm': {
      const ids = { hsmId: hsmId(), eniId: text('eniId', /^eni-[0-9a-f]{8,17}$/), backupId: backupId() };
      const zone = text('zone', /^[a-z0-9-]{3,40}$/);
      const { ipAddress } = command;
      return {
        type,
        ...ids,
        zone,
        ...(ipAddress === undefined ? {} : { ipAddress: text('ipAddress', /^[\d.]{7,15}$/) }),
      };
    }
    case 'RecordHsmCreated': {
      const csr = command['csr'] === undefined ? {} : { csr: text('csr', CSR) };
      return { type, hsmId: hsmId(), ...csr, backedUp: flag('backedUp') };
    }
    case 'RecordHsmFailed':
      return { type, hsmId: hsmId(), reason: text('reason', /^[^\n]{1,300}$/) };
    case 'RecordClusterActivated':
      return { type };
    case 'RecordHsmDeleted':
      return { type, hsmId: hsmId(), backedUp: flag('backedUp') };
    case 'RecordBackupDeleted':
      return { type, backupId: backupId() };
    default:
      throw expected('type', 'a command of clusters');
  }
}

const expected = (name: string, what: string): KmsError =>
  new KmsError('ValidationException', `${name}: expected ${what}`);
