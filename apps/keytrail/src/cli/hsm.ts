import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isClusterId } from '#domain/cluster/arns';
import { changePassword, createUser, type UsersOf, usersOf } from '#hsm/cluster/cluster-users';
import { environmentOf, isThere } from '#hsm/cluster/member-folder';
import { synchronize } from '#hsm/cluster/object-sync';
import { readOwnFile } from '#hsm/own-file';
import { clusterFolder } from '#platform/clusters/cluster-folders';
import { obstacleOf } from '#platform/clusters/cluster-settings';
import type { Settings } from '#platform/settings';
import { hiddenAnswer } from './hidden-answer';
import { CommandError } from './operator';

export interface OfCluster {
  clusterId: string;
}

export interface OfUser extends OfCluster {
  user: string;
  passwordFile?: string;
}

export interface ChangedPassword extends OfUser {
  newPasswordFile?: string;
}

type Print = (line: string) => void;

/** The cluster's folders on this machine. Throws CommandError. */
async function clusterOf({ clusters }: Settings, { clusterId }: OfCluster): Promise<UsersOf & { names: string[] }> {
  if (!isClusterId(clusterId)) {
    throw new CommandError(`--cluster-id ${clusterId}: expected one such as cluster-abcdefghijk`);
  }
  const folder = clusterFolder(clusters.folder, clusterId);
  const found = await readdir(folder).catch(() => []);
  const names: string[] = [];
  for (const name of found.sort()) {
    if (/^hsm-[2-7a-zA-Z]+$/.test(name) && (await isThere(join(folder, name)))) names.push(name);
  }
  if (names.length === 0) {
    throw new CommandError(
      `${folder}: no HSM of ${clusterId} is there; run this where its crypto-worker runs, with the same KEYTRAIL_CLOUDHSM_DIR or KEYTRAIL_DATA_DIR`,
    );
  }
  const obstacle = obstacleOf(clusters);
  if (obstacle !== undefined) throw new CommandError(obstacle);
  return { module: clusters.module, folder, members: names.map((name) => join(folder, name)), names };
}

/** A password is in a file that others may not read, or typed; never in a command line, which everybody on the machine can see. */
async function passwordFrom(file: string | undefined, question: string): Promise<string> {
  if (file === undefined) return hiddenAnswer(question);
  const bytes = readOwnFile(file, 'the password');
  if (!bytes) throw new CommandError(`${file}: missing; write the password there, mode 0600`);
  const password = bytes.toString('utf8').replace(/\r?\n$/, '');
  bytes.fill(0);
  return password;
}

export async function createHsmUser(settings: Settings, options: OfUser, print: Print): Promise<void> {
  const cluster = await clusterOf(settings, options);
  const password = await passwordFrom(options.passwordFile, `Password of ${options.user}: `);
  await createUser(cluster, options.user, password);
  print(`created: ${options.user}, in ${cluster.names.join(', ')}`);
  print('nobody can reset the password: whoever loses it loses the keys of this user');
}

export async function changeHsmPassword(settings: Settings, options: ChangedPassword, print: Print): Promise<void> {
  const cluster = await clusterOf(settings, options);
  const password = await passwordFrom(options.passwordFile, `Password of ${options.user}: `);
  const changed = await passwordFrom(options.newPasswordFile, `New password of ${options.user}: `);
  await changePassword(cluster, options.user, password, changed);
  print(`changed: the password of ${options.user}, in ${cluster.names.join(', ')}`);
}

export async function listHsmUsers(settings: Settings, options: OfCluster, print: Print): Promise<void> {
  const { folder } = await clusterOf(settings, options);
  const users = await usersOf(folder);
  if (users.length === 0) print('no users yet: make one with keytrail hsm create-user');
  for (const user of users) print(user);
}

export async function synchronizeHsms(settings: Settings, options: OfCluster, print: Print): Promise<void> {
  const { folder, members, names } = await clusterOf(settings, options);
  const done = await synchronize(folder, members);
  for (const { user, copied } of done) print(`${user}: ${copied} copies of objects made`);
  print(`synchronized: ${names.join(', ')}`);
}

/** How to reach each member by PKCS#11 directly. */
export async function printModuleConf(settings: Settings, options: OfCluster, print: Print): Promise<void> {
  const { module, members, names } = await clusterOf(settings, options);
  print(`module: ${module}`);
  for (const [nth, name] of names.entries()) {
    print(`${name}: SOFTHSM2_CONF=${environmentOf(members[nth]!)['SOFTHSM2_CONF']}`);
  }
  print("a user's keys are in the token with the user's name as its label; the PIN is the user's password");
}
