import { deriveSigningKey } from '#sigv4/signing-key';
import { SecretCredentialCheck } from './credential-check';
import type { SigningKeys } from './signing-keys';

const SHOWN = { accessKeyId: 'AKIANEW', secretAccessKey: 'a secret of the test' };

/** Knows the access key once it has heard of it. */
function check(behind: boolean) {
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
    resolve: () => ({}) as ReturnType<(typeof callers)['resolve']>,
  };
  return new SecretCredentialCheck(keys, callers, wasBehind);
}

test('an access key that was made a moment ago lets its owner in, though the view has yet to hear of it', async () => {
  expect(await check(true).identify(SHOWN)).toMatchObject({ account: '000000000000', principalId: 'AIDANEW' });
});

test.each([true, false])(
  'what the log does not know lets nobody in, with a view that was behind: %s',
  async (behind) => {
    expect(await check(behind).identify({ ...SHOWN, accessKeyId: 'AKIANOBODY' })).toBeUndefined();
    expect(await check(behind).identify({ ...SHOWN, secretAccessKey: 'another' })).toBeUndefined();
  },
);
