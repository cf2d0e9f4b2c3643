import { KmsError } from '#domain/errors';
import type { WorkerCommand } from '#operations/operation';
import { timeOf, tokenOf } from './internal-questions';

type Import = WorkerCommand<'key'>;

/** The command that a crypto-worker has appended for an import. Throws ValidationException naming what is not as it must be. */
export function importCommandOf(command: Record<string, unknown>): Import {
  if (command['type'] !== 'ImportKeyMaterial') throw expected('type', 'ImportKeyMaterial');
  const given = <T>(name: string, read: (name: string) => T): T | undefined =>
    command[name] === undefined ? undefined : read(name);
  const matching =
    (pattern: RegExp, what: string) =>
    (name: string): string => {
      const value = command[name];
      if (typeof value !== 'string' || !pattern.test(value)) throw expected(name, what);
      return value;
    };
  const materialId = matching(/^[0-9a-f]{64}$/, '64 hex digits');
  return {
    type: 'ImportKeyMaterial',
    materialId: materialId('materialId'),
    storedAs: tokenOf(command, 'storedAs'),
    importType: given('importType', importTypeIn(command)),
    keyMaterialId: given('keyMaterialId', materialId),
    description: given('description', matching(/^[a-zA-Z0-9:/_\s.-]{0,256}$/, 'a description')),
    validTo: given('validTo', (name) => timeOf(command, name)),
    publicKey: given('publicKey', matching(/^[A-Za-z0-9+/]{1,2000}={0,2}$/, 'base64')),
  };
}

const importTypeIn =
  (command: Record<string, unknown>) =>
  (name: string): NonNullable<Import['importType']> => {
    const value = command[name];
    if (value !== 'NEW_KEY_MATERIAL' && value !== 'EXISTING_KEY_MATERIAL') throw expected(name, 'an import type');
    return value;
  };

const expected = (name: string, what: string): KmsError =>
  new KmsError('ValidationException', `${name}: expected ${what}`);
