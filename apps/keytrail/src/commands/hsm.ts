import { Command } from 'commander';
import { changeHsmPassword, createHsmUser, listHsmUsers, printModuleConf, synchronizeHsms } from '../cli/hsm';
import { print, running } from '../cli/running';

const inCluster = (name: string, description: string): Command =>
  new Command(name).description(description).requiredOption('--cluster-id <id>', 'of which cluster: cluster-...');

const ofUser = (name: string, description: string): Command =>
  inCluster(name, description)
    .requiredOption('--user <name>', "the user's name: kmsuser for AWS KMS, any other for its owner")
    .option('--password-file <file>', 'with the password, 7 to 32 characters, mode 0600; asked for without it');

/** What the owner of a cluster does, where the folders of its HSMs are. It asks no service, and no service knows the passwords. */
export function addHsm(program: Command): void {
  const hsm = new Command('hsm').description(
    "users and keys of an HSM cluster, for its owner, on its crypto-worker's machine",
  );
  hsm.addCommand(
    ofUser('create-user', 'a new crypto user, in every HSM of the cluster; the first one makes it ACTIVE').action(
      running((settings, options) => createHsmUser(settings, options, print)),
    ),
  );
  hsm.addCommand(
    inCluster('users', 'the users of the cluster').action(
      running((settings, options) => listHsmUsers(settings, options, print)),
    ),
  );
  hsm.addCommand(
    ofUser('change-password', 'another password, in every HSM of the cluster')
      .option('--new-password-file <file>', 'with the new one; asked for without it')
      .action(running((settings, options) => changeHsmPassword(settings, options, print))),
  );
  hsm.addCommand(
    inCluster('sync', 'have every HSM have all users and their keys').action(
      running((settings, options) => synchronizeHsms(settings, options, print)),
    ),
  );
  hsm.addCommand(
    inCluster('module-conf', 'how to reach the HSMs of the cluster by PKCS#11 directly').action(
      running((settings, options) => printModuleConf(settings, options, print)),
    ),
  );
  program.addCommand(hsm);
}
