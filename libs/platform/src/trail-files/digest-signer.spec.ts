import { createPublicKey, verify } from 'node:crypto';
import { dataToSign, keyFingerprint } from '#audit-log/trail-digest';
import { MaterialVault } from '#hsm/material-vault';
import { MemoryMaterialStore } from '#hsm/memory-material-store';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import { VaultDigestSigner } from './digest-signer';

const PARTS = { end: '2026-11-25T04:00:00Z', bucket: 'b', key: 'k', hash: '00', previousSignature: null };
const clock = { now: () => Date.parse('2026-11-25T04:00:00.500Z') };

test('whichever crypto-worker is asked, the key is the one that was stored first, wrapped', async () => {
  const store = new MemoryMaterialStore();
  const rootKeyBase64 = Buffer.alloc(32, 1).toString('base64');
  const vault = (): MaterialVault =>
    new MaterialVault(SoftwareHsmProvider.open({ rootKeyBase64, mayCreate: false }), store);
  const workers = [vault(), vault(), vault()].map((one) => new VaultDigestSigner(one.own, clock));
  const keys = await Promise.all(workers.map((one) => one.publicKey()));
  expect(new Set(keys.map(({ fingerprint }) => fingerprint)).size).toBe(1);
  const [{ value, fingerprint, from, until }] = keys as [(typeof keys)[0]];
  expect(fingerprint).toBe(keyFingerprint(value));
  expect(from).toBe(Date.parse('2026-11-25T04:00:00Z') / 1000);
  expect(until).toBeGreaterThan(from + 99 * 365 * 86_400);
  const publicKey = createPublicKey({ key: Buffer.from(value), format: 'der', type: 'pkcs1' });
  expect(publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048, publicExponent: 65_537n });
  const signatures = await Promise.all(workers.map((one) => one.sign(PARTS)));
  expect(new Set(signatures).size).toBe(1);
  expect(verify('sha256', Buffer.from(dataToSign(PARTS)), publicKey, Buffer.from(signatures[0]!, 'hex'))).toBe(true);
  const stored = await Promise.all((await store.list()).map(({ materialId }) => store.get(materialId)));
  expect(stored).toHaveLength(1);
  const wrapped = Buffer.from(JSON.parse(Buffer.from(stored[0]!.bytes).toString('utf8')).ciphertext, 'base64');
  expect(wrapped.includes(Buffer.from('2a864886f70d010101', 'hex'))).toBe(false);
});

test('a vault that is out of reach is asked again with the next question', async () => {
  let reachable = false;
  const signer = new VaultDigestSigner(
    {
      trailKey: (make) => (reachable ? make() : Promise.reject(new Error('out of reach'))),
    },
    clock,
  );
  await expect(signer.publicKey()).rejects.toThrow('out of reach');
  reachable = true;
  expect((await signer.publicKey()).fingerprint).toMatch(/^[0-9a-f]{32}$/);
});
