import { KmsError } from '../errors';

export const invalid = (message: string): KmsError => new KmsError('CloudHsmInvalidRequestException', message);

const notFound = (message: string): KmsError => new KmsError('CloudHsmResourceNotFoundException', message);

export const clusterNotFound = (clusterId: string): KmsError => notFound(`The cluster ${clusterId} does not exist.`);

export const backupNotFound = (backupId: string): KmsError => notFound(`The backup ${backupId} does not exist.`);

export const hsmNotFound = (named: string, clusterId: string): KmsError =>
  notFound(`The cluster ${clusterId} has no HSM ${named}.`);
