import { type Backing, isConnectionErrorCode } from '#domain/custom-key-store/events';
import { KmsError } from '#domain/errors';
import type { WorkerCommand } from '#operations/operation';
import { membersOf, positionOf, textOf, tokenOf } from '../internal-questions';

type StoreCommand = WorkerCommand<'customKeyStore'>;

/** The command that a crypto-worker has appended about a custom key store. Throws ValidationException naming what is not as it must be. */
export function storeCommandOf(command: Record<string, unknown>): StoreCommand {
  const { type } = command;
  switch (type) {
    case 'CreateCustomKeyStore': {
      const backing = backingOf(membersOf(command['backing'], 'backing'));
      return { type, name: textOf(command, 'name'), backing, secretId: tokenOf(command, 'secretId') };
    }
    case 'UpdateCustomKeyStore': {
      const changes: Record<string, string> = {};
      for (const name of ['name', 'clusterId', 'uriEndpoint', 'uriPath', 'accessKeyId'] as const) {
        if (command[name] !== undefined) changes[name] = textOf(command, name);
      }
      if (command['secretId'] !== undefined) changes['secretId'] = tokenOf(command, 'secretId');
      return { type, ...changes };
    }
    case 'RecordConnected':
    case 'RecordDisconnected':
      return { type, attempt: positionOf(command, 'attempt') };
    case 'RecordConnectionFailed': {
      const { code } = command;
      if (!isConnectionErrorCode(code)) throw expected('code', 'a connection error code');
      return { type, attempt: positionOf(command, 'attempt'), code };
    }
    default:
      throw expected('type', 'a command of custom key stores');
  }
}

function backingOf(backing: Record<string, unknown>): Backing {
  const { storeType } = backing;
  switch (storeType) {
    case 'AWS_CLOUDHSM': {
      const trustAnchorCertificate = textOf(backing, 'trustAnchorCertificate');
      return { storeType, clusterId: textOf(backing, 'clusterId'), trustAnchorCertificate };
    }
    case 'EXTERNAL_KEY_STORE': {
      const address = { uriEndpoint: textOf(backing, 'uriEndpoint'), uriPath: textOf(backing, 'uriPath') };
      return { storeType, ...address, accessKeyId: textOf(backing, 'accessKeyId') };
    }
    default:
      throw expected('storeType', 'AWS_CLOUDHSM or EXTERNAL_KEY_STORE');
  }
}

const expected = (name: string, what: string): KmsError =>
  new KmsError('ValidationException', `${name}: expected ${what}`);
