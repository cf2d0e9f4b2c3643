import { KmsError } from '#domain/errors';
import type { Serving } from '#operations/operation';
import { deriveSigningKey } from '#sigv4/signing-key';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { SecretCredentialCheck } from './credential-check';
import type { SigningKeys } from './signing-keys';

const SHOWN = { accessKeyId: 'AKIANEW', secretAccessKey: 'a secret of the test' };

/** Knows the access key once it has heard of it. */
function check(behind: boolean, serving: Pick<Serving, 'assertHeld'> = ALWAYS_SERVING) {
  let known = !behind;
  const keys: SigningKeys = {
    identify: ({ accessKeyId, date, region, service }) => {
      if (!known || accessKeyId !== SHOWN.accessKeyId) return undefined;
      const signingKey = deriveSigningKey(SHOWN.secretAccessKey, date, region, service);
      return { account: '000000000000', principalId: 'AIDANEW', signingKey };
    },
  };
  const wasBehind = async (): Promise<boolean> => {
    const was = !known;
    known = true;
    return was;
  };
  const callers: ConstructorParameters<typeof SecretCredentialCheck>[1] = {
    resolve: () => {
      if (!known) throw new KmsError('UnrecognizedClientException', 'gone');
      return {} as ReturnType<(typeof callers)['resolve']>;
    },
  };
  const credentials = new SecretCredentialCheck(keys, callers, serving, wasBehind);
  const forget = (): void => {
    known = false;
  };
  return { credentials, forget };
}

test('an access key that was made a moment ago lets its owner in, though the view has yet to hear of it', async () => {
  expect(await check(true).credentials.identify(SHOWN)).toMatchObject({
    account: '000000000000',
    principalId: 'AIDANEW',
  });
});

test.each([true, false])(
  'what the log does not know lets nobody in, with a view that was behind: %s',
  async (behind) => {
    expect(await check(behind).credentials.identify({ ...SHOWN, accessKeyId: 'AKIANOBODY' })).toBeUndefined();
    expect(await check(behind).credentials.identify({ ...SHOWN, secretAccessKey: 'another' })).toBeUndefined();
  },
);

test('credentials that ended since they were looked up let nobody in', async () => {
  const { credentials, forget } = check(false);
  const identity = (await credentials.identify(SHOWN))!;
  expect(credentials.mayAdmit(SHOWN, identity)).toBe(true);
  forget();
  expect(credentials.mayAdmit(SHOWN, identity)).toBe(false);
});

test('a process that has lost touch with the log lets nobody in', async () => {
  const lost = new KmsError('KMSInternalException', 'lost');
  const { credentials } = check(false, {
    assertHeld: () => {
      throw lost;
    },
  });
  const identity = (await credentials.identify(SHOWN))!;
  expect(() => credentials.mayAdmit(SHOWN, identity)).toThrow(lost);
});
