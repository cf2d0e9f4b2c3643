import type { GetSessionTokenRequest, GetSessionTokenResponse } from '@aws-sdk/client-sts';
import { KmsError } from '#domain/errors';
import { data } from '../operation';
import { Optional } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { assertNoMfa, SERIAL_NUMBER, TOKEN_CODE } from './no-mfa';
import { issueCredentials } from './session-credentials';

const DEFAULT_SECONDS = 43_200;
/** Of root, whatever it asks for. */
const ROOT_SECONDS = 3_600;

class GetSessionToken implements GetSessionTokenRequest {
  @Optional({ kind: 'integer', min: 900, max: 129_600 }) DurationSeconds?: number;
  @Optional(SERIAL_NUMBER) SerialNumber?: string;
  @Optional(TOKEN_CODE) TokenCode?: string;
}

/** Needs no permission; what the session may do is what its user may. It ends with the access key that signed for it. */
export const getSessionToken = data<GetSessionToken, Wire<GetSessionTokenResponse>>({
  service: 'sts',
  name: 'GetSessionToken',
  request: GetSessionToken,
  recordsReply: true,
  run(request, { caller }, ports) {
    const { account, principalId, principal, accessKeyId, session } = caller;
    if (session) throw new KmsError('AccessDeniedException', 'Cannot call GetSessionToken with session credentials');
    assertNoMfa(request);
    const asked = request.DurationSeconds ?? DEFAULT_SECONDS;
    const seconds = principal.kind === 'root' ? Math.min(asked, ROOT_SECONDS) : asked;
    const issuing = accessKeyId === undefined ? {} : { issuingAccessKeyId: accessKeyId };
    return { Credentials: issueCredentials({ account, principalId, ...issuing }, seconds, ports) };
  },
});
