import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { allowing, type Clients, type Credentials, clientsOf, longTerm } from './identities';
import { type KeytrailProcess, MAIN, run, startProcess } from './processes';
import { filesHolding } from './stored-material';

/** A server of its own, with users and roles that root makes in it. */
export class Identities {
  /** Every secret that was told: none may be found anywhere afterwards. */
  readonly secrets: string[] = [];

  private constructor(
    readonly dataDir: string,
    readonly server: KeytrailProcess,
    readonly root: Clients,
    private readonly rootSecret: string,
  ) {}

  static async start(): Promise<Identities> {
    const dataDir = mkdtempSync(join(tmpdir(), 'keytrail-iam-'));
    const server = await startProcess(dataDir);
    const credentials = (await server.kms.config.credentials()) as Credentials;
    return new Identities(dataDir, server, clientsOf(server.endpoint, credentials), credentials.secretAccessKey);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  as(credentials: Credentials): Clients {
    this.secrets.push(credentials.secretAccessKey);
    return clientsOf(this.server.endpoint, credentials);
  }

  /** A user with an access key, and what its one policy allows. */
  async user(UserName: string, ...actions: string[]): Promise<Clients & { credentials: Credentials }> {
    const { iam } = this.root;
    await iam.send(new CreateUserCommand({ UserName }));
    if (actions.length > 0) {
      const PolicyDocument = allowing(...actions);
      await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'may', PolicyDocument }));
    }
    const credentials = longTerm(await iam.send(new CreateAccessKeyCommand({ UserName })));
    return { ...this.as(credentials), credentials };
  }

  /** The ARN of a role with this trust policy, and what its one policy allows. */
  async role(RoleName: string, trust: string, ...actions: string[]): Promise<string> {
    const { iam } = this.root;
    const made = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust }));
    if (actions.length > 0) {
      const PolicyDocument = allowing(...actions);
      await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'may', PolicyDocument }));
    }
    return made.Role!.Arn!;
  }

  /** Stops the server, and expects no secret in its files, its log, its metrics and what it replays. */
  async stopAndFindNoSecret(): Promise<void> {
    const { dataDir, server } = this;
    const metrics = await (await fetch(`${server.endpoint}/metrics`)).text();
    const replayed = await run([MAIN, 'replay', '--json'], { KEYTRAIL_DATA_DIR: dataDir }).done;
    expect(replayed.output).toContain('AccessKeyCreated');
    await server.stop();
    // The search finds what is there: the root credentials are, in their own file alone.
    expect(filesHolding(dataDir, Buffer.from(this.rootSecret))).toEqual([join(dataDir, 'aws/credentials')]);
    for (const secret of this.secrets) {
      for (const bytes of [Buffer.from(secret), Buffer.from(secret, 'base64')]) {
        expect(filesHolding(dataDir, bytes)).toEqual([]);
        for (const text of [metrics, server.log(), replayed.output])
          expect(text.includes(bytes.toString('latin1'))).toBe(false);
      }
    }
  }
}
