// Encrypts and decrypts with the AWS SDK, unchanged: endpoint and credentials come from the files that Keytrail wrote.
//   AWS_CONFIG_FILE=data/aws/config AWS_SHARED_CREDENTIALS_FILE=data/aws/credentials node examples/aws-sdk.mjs
import { CreateKeyCommand, DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';

const kms = new KMSClient({});
const { KeyMetadata } = await kms.send(new CreateKeyCommand({ Description: 'made with the AWS SDK' }));
const EncryptionContext = { order: '42' };
const { CiphertextBlob } = await kms.send(
  new EncryptCommand({ KeyId: KeyMetadata.KeyId, Plaintext: Buffer.from('hello from the AWS SDK'), EncryptionContext }),
);
const { Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
console.log(Buffer.from(Plaintext).toString());
