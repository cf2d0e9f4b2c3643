import { accessKeyMaterialId } from '#domain/principal/access-key-material-id';
import type { AggregateRef } from '#domain/subjects';
import type { MaterialVault } from '#hsm/material-vault';
import type { AccessKeyPorts, Call, WorkerCommand } from '#operations/operation';
import type { WorkerCommands } from './worker-commands';

/** AWS's: 40 characters of base64. */
const SECRET_BYTES = 30;

/** Makes and erases the secrets of access keys; what becomes of the access keys, a key-manager decides. */
export class AccessKeys implements AccessKeyPorts {
  constructor(
    private readonly vault: MaterialVault,
    private readonly commands: WorkerCommands,
  ) {}

  async create(ownerArn: string, accessKeyId: string): Promise<string> {
    const secret = await this.vault.createAccessKey(ownerArn, accessKeyMaterialId(accessKeyId), SECRET_BYTES);
    try {
      return secret.toString('base64');
    } finally {
      secret.fill(0);
    }
  }

  runCommand(ref: AggregateRef<'principal'>, command: WorkerCommand<'principal'>, call: Call): Promise<void> {
    return this.commands.run(ref, command, call);
  }

  erase(accessKeyId: string): Promise<void> {
    return this.vault.destroy(accessKeyMaterialId(accessKeyId));
  }
}
