import { MemoryOperations } from '../../../test/support/memory-operations';

const operations = new MemoryOperations();

describe('the rotations of a key', () => {
  test('name it by its ARN, oldest first, with the first material on request', async () => {
    const { KeyId, Arn } = await operations.newKey();
    await operations.call('RotateKeyOnDemand', { KeyId });
    const second = { KeyId: Arn, KeyMaterialState: 'CURRENT', RotationType: 'ON_DEMAND' };
    const rotations = await operations.call('ListKeyRotations', { KeyId });
    expect(rotations.body).toMatchObject({ Rotations: [second], Truncated: false });
    const materials = await operations.call('ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' });
    expect(materials.body).toMatchObject({ Rotations: [{ KeyId: Arn, KeyMaterialState: 'NON_CURRENT' }, second] });
  });
});
