import { KmsError } from '#domain/errors';
import { VaultSealingKeys, type WriterScope } from './sealing-keys';
import { shreddedBy } from './shredding';

const SCOPE: WriterScope = {
  account: '111122223333',
  month: '2026-11',
  writer: '7a0d3f6e-5c0e-4a6e-9d0b-2f1f7a3f9f10',
};

/** A vault in which each key is its own number. */
const vault = {
  auditKey: async ({ generation }: { generation: number }) => Buffer.alloc(32, generation),
  existingAuditKey: async ({ generation }: { generation: number }) => Buffer.alloc(32, generation),
};

const exported = (key: { export(): Buffer } | undefined) => key?.export().toString('hex');

test('nobody is given a key that is shredded, although it is there', async () => {
  let shredded = 0;
  const keys = new VaultSealingKeys(vault, async () => shredded);
  const first = await keys.toSeal(SCOPE);
  expect(first.generation).toBe(1);
  expect(exported(await keys.toUnseal({ ...SCOPE, generation: 1 }))).toBe(exported(first.key));
  shredded = 1;
  const second = await keys.toSeal(SCOPE);
  expect(second.generation).toBe(2);
  expect(exported(second.key)).not.toBe(exported(first.key));
  expect(await keys.toUnseal({ ...SCOPE, generation: 1 })).toBeUndefined();
  expect(exported(await keys.toUnseal({ ...SCOPE, generation: 2 }))).toBe(exported(second.key));
});

test('while the log is out of reach no key is given, and whoever asks tries again', async () => {
  const view = { projection: { shredded: () => 0 } } as unknown as Parameters<typeof shreddedBy>[0];
  const keys = new VaultSealingKeys(
    vault,
    shreddedBy(view, () => Promise.reject(new Error('no stream'))),
  );
  const refusal = await keys.toSeal(SCOPE).catch((error: KmsError) => error);
  expect(refusal).toMatchObject({ code: 'DependencyTimeoutException' });
});
