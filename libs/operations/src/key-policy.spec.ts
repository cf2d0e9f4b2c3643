import { userRef } from '#domain/principal/principal-id';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';

const OTHER = '111122223333';
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const BOB = `arn:aws:iam::${OTHER}:user/bob`;
const ann = { principalId: 'AIDAANNANNANNANNANN1' };
const ROOT_MAY = {
  Effect: 'Allow',
  Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
  Action: 'kms:*',
  Resource: '*',
};

let operations: MemoryOperations;
let KeyId: string;

beforeEach(async () => {
  operations = new MemoryOperations();
  const user = { type: 'CreateUser' as const, path: '/', tags: [] };
  await operations.runCommand(userRef(ACCOUNT, 'ann'), { ...user, name: 'ann', uniqueId: ann.principalId });
  await operations.runCommand(userRef(OTHER, 'bob'), { ...user, name: 'bob', uniqueId: 'AIDABOBBOBBOBBOBBOB1' });
  ({ KeyId } = await operations.newKey());
});

describe('a key policy', () => {
  const put = (statement: object) =>
    operations.call('PutKeyPolicy', { KeyId, Policy: JSON.stringify({ Statement: [ROOT_MAY, statement] }) });
  const naming = (AWS: string) => ({ Effect: 'Allow', Principal: { AWS }, Action: 'kms:Decrypt', Resource: '*' });
  const invalid = {
    code: 'MalformedPolicyDocumentException',
    message: 'Policy contains a statement with one or more invalid principals.',
  };

  test.each([
    `arn:aws:iam::${ACCOUNT}:user/nobody`,
    `arn:aws:iam::${ACCOUNT}:user/path/ann`,
    `arn:aws:iam::${ACCOUNT}:user/ANN`,
    `arn:aws:iam::${ACCOUNT}:role/ann`,
    `arn:aws:sts::${ACCOUNT}:assumed-role/none/job`,
    `arn:aws:iam::${OTHER}:user/ann`,
  ])('cannot name %s, who does not exist', async (who) => {
    expect(await put(naming(who))).toMatchObject(invalid);
    const Policy = JSON.stringify({ Statement: [ROOT_MAY, naming(who)] });
    expect(await operations.call('CreateKey', { Policy })).toMatchObject(invalid);
  });

  test.each([ANN, BOB, 'arn:aws:iam::999988887777:user/whoever', OTHER, ann.principalId])(
    'can name %s',
    async (who) => {
      expect(await put(naming(who))).toMatchObject({ code: 'OK' });
    },
  );

  test('must let the caller put the next one, by name or through the account', async () => {
    const own = { type: 'PutPolicy' as const, policyName: 'own', policy: allowing('kms:PutKeyPolicy') };
    await operations.runCommand(userRef(ACCOUNT, 'ann'), own);
    const Policy = JSON.stringify({ Statement: [{ ...ROOT_MAY, Principal: { AWS: ANN } }] });
    expect(await operations.call('PutKeyPolicy', { KeyId, Policy })).toMatchObject({
      code: 'MalformedPolicyDocumentException',
      message: 'The new key policy will not allow you to update the key policy in the future.',
    });
    expect(await operations.call('PutKeyPolicy', { KeyId, Policy }, ann)).toMatchObject({ code: 'OK' });
  });
});
