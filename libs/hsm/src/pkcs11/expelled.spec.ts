import { MoodyModule } from '../../../../test/support/moody-module';
import { type SoftHsm, softHsm, softHsmModule } from '../../../../test/support/softhsm';
import { HsmUnavailableError } from '../hsm-provider';
import { Pkcs11HsmProvider } from './pkcs11-provider';

const modulePath = softHsmModule();
const moody = modulePath === undefined ? undefined : MoodyModule.build(modulePath);
const aad = Buffer.from('aad');

(moody ? describe : describe.skip)('an HSM that ends all sessions, and locks the user out', () => {
  let hsm: SoftHsm;
  let provider: Pkcs11HsmProvider;
  beforeAll(async () => {
    hsm = softHsm(modulePath!);
    provider = await Pkcs11HsmProvider.open({ ...hsm, module: moody!.path, mayCreate: true });
  });
  afterAll(async () => {
    await provider?.close();
    hsm.remove();
    moody!.remove();
  });

  it('is not available, and is asked to let the user in once', async () => {
    const wrapped = await provider.wrap(Buffer.from('material'), aad);
    moody!.put(hsm.folder, 'expelled');
    const logins = moody!.loginsOf(hsm.folder);
    await expect(provider.wrap(Buffer.from('material'), aad)).rejects.toThrow(HsmUnavailableError);
    for (let time = 0; time < 5; time++) {
      await expect(provider.wrap(Buffer.from('material'), aad)).rejects.toThrow(/CKR_PIN_LOCKED/);
      await expect(provider.unwrap(wrapped, aad)).rejects.toThrow(HsmUnavailableError);
      await expect(provider.random(16)).rejects.toThrow(HsmUnavailableError);
    }
    expect(moody!.loginsOf(hsm.folder)).toBe(logins + 1);
  });
});
