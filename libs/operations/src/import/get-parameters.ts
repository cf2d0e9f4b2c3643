import type { GetParametersForImportRequest, GetParametersForImportResponse } from '@aws-sdk/client-kms';
import { isWrappingAlgorithm, isWrappingKeySpec } from '#crypto/import-wrapping';
import { isImportable, mayWrap } from '#crypto/imported-material';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { assertImported } from '#domain/key/imported/decide';
import { assertStateAllows } from '#domain/key/state-table';
import { generatePair } from '#hsm/key-generation';
import { authorizeKey } from '../authorization';
import { fixedContext } from '../condition-context';
import { findKey } from '../key-lookup';
import { workedOut } from '../off-loop';
import { data } from '../operation';
import { KEY_ID, Required } from '../wire/fields';
import { epochSeconds, type Wire } from '../wire/wire';

const WRAPPING_ALGORITHMS = [
  'RSAES_PKCS1_V1_5',
  'RSAES_OAEP_SHA_1',
  'RSAES_OAEP_SHA_256',
  'RSA_AES_KEY_WRAP_SHA_1',
  'RSA_AES_KEY_WRAP_SHA_256',
  'SM2PKE',
] as const;
const WRAPPING_KEY_SPECS = ['RSA_2048', 'RSA_3072', 'RSA_4096', 'SM2'] as const;

/** AWS's: a wrapping key and its token live that long. */
const LIFETIME_MS = 24 * 3_600_000;

class GetParametersForImport implements GetParametersForImportRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required({ kind: 'enum', values: WRAPPING_ALGORITHMS }) WrappingAlgorithm!: (typeof WRAPPING_ALGORITHMS)[number];
  @Required({ kind: 'enum', values: WRAPPING_KEY_SPECS }) WrappingKeySpec!: (typeof WRAPPING_KEY_SPECS)[number];
}

const unsupported = (message: string): KmsError => new KmsError('UnsupportedOperationException', message);

/** Keeps nothing: the private half of the wrapping key is in the token, sealed. */
export const getParametersForImport = data<GetParametersForImport, Wire<GetParametersForImportResponse>>({
  name: 'GetParametersForImport',
  request: GetParametersForImport,
  quotaClass: 'GetParametersForImport',
  run(request, call, ports) {
    const { WrappingAlgorithm: wrappingAlgorithm, WrappingKeySpec: wrappingKeySpec } = request;
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    const { key, arn } = found;
    const context = fixedContext({
      'kms:wrappingalgorithm': wrappingAlgorithm,
      'kms:wrappingkeyspec': wrappingKeySpec,
    });
    authorizeKey(call, ports.projection, found, { context });
    assertImported(key, arn);
    assertStateAllows('GetParametersForImport', key.keyState, arn);
    if (!isWrappingAlgorithm(wrappingAlgorithm))
      throw unsupported(`WrappingAlgorithm ${wrappingAlgorithm} is not supported.`);
    if (!isWrappingKeySpec(wrappingKeySpec)) throw unsupported(`WrappingKeySpec ${wrappingKeySpec} is not supported.`);
    if (!isImportable(key.keySpec) || !mayWrap(wrappingAlgorithm, wrappingKeySpec, key.keySpec)) {
      throw unsupported(
        `WrappingAlgorithm ${wrappingAlgorithm} with WrappingKeySpec ${wrappingKeySpec} cannot wrap key material of ${key.keySpec}.`,
      );
    }
    // Before the work: a call on record that is decided again ends here.
    const { imports } = ports;
    const pair = workedOut(call, `wrapping key ${wrappingKeySpec}`, () => generatePair(wrappingKeySpec));
    const validTo = isoDate(Date.parse(call.now) + LIFETIME_MS);
    const claims = { keyArn: arn, wrappingAlgorithm, wrappingKeySpec, validTo };
    return {
      KeyId: arn,
      ImportToken: imports.newToken(claims, pair.privateKey).toString('base64'),
      PublicKey: pair.publicKey.toString('base64'),
      ParametersValidTo: epochSeconds(validTo),
    };
  },
});
