import { KmsError } from '../errors';

/** What AWS IAM answers, word for word. */
export const noSuchUser = (name: string): KmsError =>
  new KmsError('NoSuchEntity', `The user with name ${name} cannot be found.`);

export const noSuchRole = (name: string): KmsError =>
  new KmsError('NoSuchEntity', `The role with name ${name} cannot be found.`);

export const noSuchPolicy = (kind: 'User' | 'Role', policyName: string): KmsError =>
  new KmsError('NoSuchEntity', `The ${kind.toLowerCase()} policy with name ${policyName} cannot be found.`);

export const noSuchAccessKey = (accessKeyId: string): KmsError =>
  new KmsError('NoSuchEntity', `The Access Key with id ${accessKeyId} cannot be found.`);

export const alreadyExists = (kind: 'User' | 'Role', name: string): KmsError =>
  new KmsError('EntityAlreadyExists', `${kind} with name ${name} already exists.`);

export const deleteConflict = (what: 'access keys' | 'policies'): KmsError =>
  new KmsError('DeleteConflict', `Cannot delete entity, must delete ${what} first.`);

export const quotaExceeded = (quota: string, value: number): KmsError =>
  new KmsError('LimitExceeded', `Cannot exceed quota for ${quota}: ${value}`);

export const policiesTooLong = (kind: 'User' | 'Role', name: string, bytes: number): KmsError =>
  new KmsError('LimitExceeded', `Maximum policy size of ${bytes} bytes exceeded for ${kind.toLowerCase()} ${name}`);

export const tooManyTags = (): KmsError =>
  new KmsError('LimitExceeded', 'The number of tags has reached the maximum limit.');
