import { HsmUnavailableError } from '../hsm-provider';
import { ConnectError } from '../key-store/store-connection';
import { TokenRefusedError } from '../pkcs11/token-client';
import { codeOf, type Member } from './member';
import { isThere } from './member-folder';

const CREDENTIALS = ['PIN_INCORRECT', 'PIN_INVALID', 'PIN_LEN_RANGE', 'PIN_EXPIRED'];

/** Why no member of a cluster is in, in the words of ConnectionErrorCodeType; what names the cause best comes first. */
export async function connectErrorOf(members: readonly Member[]): Promise<ConnectError> {
  const failures = members.map(({ failure }) => failure);
  const codes = failures.map(codeOf);
  const say = (code: string, message: string): ConnectError => new ConnectError(code, message, { cause: failures[0] });
  if (codes.includes('PIN_LOCKED')) return say('USER_LOCKED_OUT', 'the user is locked out of the cluster');
  if (codes.some((code) => CREDENTIALS.includes(code ?? ''))) {
    return say('INVALID_CREDENTIALS', 'the cluster does not take this password');
  }
  const found = await Promise.all(members.map(({ place }) => isThere(place.folder)));
  if (!found.includes(true)) return say('CLUSTER_NOT_FOUND', 'no HSM of the cluster is there');
  if (codes.includes('NO_TOKEN') || codes.includes('USER_PIN_NOT_INITIALIZED')) {
    return say('USER_NOT_FOUND', 'the cluster has no such user');
  }
  if (failures.some((failure) => failure instanceof TokenRefusedError)) {
    return say('INTERNAL_ERROR', 'the PKCS#11 module of the cluster cannot be used');
  }
  return failures.every((failure) => failure instanceof HsmUnavailableError)
    ? say('NETWORK_ERRORS', 'no HSM of the cluster answers')
    : say('INTERNAL_ERROR', 'the cluster cannot be used');
}
