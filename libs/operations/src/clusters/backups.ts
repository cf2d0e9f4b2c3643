import type { CommandOf } from '#domain/aggregates';
import { backupNotFound } from '#domain/cluster/cluster-refusals';
import { backupsOf } from '#domain/cluster/state';
import { RequestFault } from '#domain/errors';
import { authorizeOwn } from '../authorization';
import { type Call, type ControlPorts, control } from '../operation';
import { listName, pageOfList } from '../pagination';
import { BOOLEAN, Optional, Required } from '../wire/fields';
import { authorizeOn, clustersOf, type FoundBackup, findBackup } from './cluster-lookup';
import { BACKUP_ID, FILTERS, NEXT_TOKEN } from './fields';
import { type Filters, filterOf } from './filters';
import { shownBackup } from './shown';

const BACKUPS_PER_PAGE = 50;

class DescribeBackups {
  @Optional(NEXT_TOKEN) NextToken?: string;
  @Optional({ kind: 'integer', min: 1, max: BACKUPS_PER_PAGE }) MaxResults?: number;
  @Optional(FILTERS) Filters?: Filters;
  @Optional(BOOLEAN) Shared?: boolean;
  @Optional(BOOLEAN) SortAscending?: boolean;
}

/** Those that are deleted are told of only to who asks for that state. */
export const describeBackups = control<DescribeBackups, object>({
  service: 'cloudhsm',
  name: 'DescribeBackups',
  request: DescribeBackups,
  run({ NextToken, MaxResults = BACKUPS_PER_PAGE, Filters, Shared, SortAscending }, call, { projection }) {
    authorizeOwn(call, 'cloudhsm:DescribeBackups', '*');
    if (Shared) throw new RequestFault('Shared: no backups are shared here.');
    const filter = filterOf<FoundBackup>(Filters, {
      backupIds: ({ backup }) => backup.backupId,
      sourceBackupIds: () => '',
      clusterIds: ({ ref }) => ref.id,
      states: ({ backup }) => backup.state,
      neverExpires: ({ backup }) => String(backup.neverExpires),
    });
    const asksForDeleted = Filters?.['states'] !== undefined;
    const all = clustersOf(call.caller, projection)
      .flatMap(({ ref, state }) => backupsOf(state).map((backup): FoundBackup => ({ ref, state, backup })))
      .filter((found) => (found.backup.state !== 'DELETED' || asksForDeleted) && filter(found))
      .sort((a, b) => (a.backup.createdAt < b.backup.createdAt ? -1 : 1));
    if (!SortAscending) all.reverse();
    const list = listName(call, [JSON.stringify([Filters ?? {}, SortAscending ?? false])]);
    const page = pageOfList(all.map(shownBackup), { list, limit: MaxResults, marker: NextToken });
    return { Backups: page.items, ...(page.nextMarker === undefined ? {} : { NextToken: page.nextMarker }) };
  },
});

class OneBackup {
  @Required(BACKUP_ID) BackupId!: string;
}

type BackupCommand = Extract<
  CommandOf<'cluster'>,
  { type: 'DeleteBackup' | 'RestoreBackup' | 'ModifyBackupAttributes' }
>;

async function change(action: BackupCommand['type'], command: BackupCommand, call: Call, ports: ControlPorts) {
  const { backupId } = command;
  authorizeOn(call, action, backupId);
  const { ref, backup } = findBackup(backupId, call, ports.projection);
  if (backup.state === 'DELETED') throw backupNotFound(backupId);
  await ports.runCommand(ref, command, call);
  return { Backup: shownBackup(findBackup(backupId, call, ports.projection)) };
}

const onBackup = (name: 'DeleteBackup' | 'RestoreBackup') =>
  control<OneBackup, object>({
    service: 'cloudhsm',
    name,
    request: OneBackup,
    run: ({ BackupId }, call, ports) => change(name, { type: name, backupId: BackupId }, call, ports),
  });

export const deleteBackup = onBackup('DeleteBackup');
export const restoreBackup = onBackup('RestoreBackup');

class ModifyBackupAttributes {
  @Required(BACKUP_ID) BackupId!: string;
  @Required(BOOLEAN) NeverExpires!: boolean;
}

export const modifyBackupAttributes = control<ModifyBackupAttributes, object>({
  service: 'cloudhsm',
  name: 'ModifyBackupAttributes',
  request: ModifyBackupAttributes,
  run: ({ BackupId, NeverExpires }, call, ports) => {
    const command = { type: 'ModifyBackupAttributes', backupId: BackupId, neverExpires: NeverExpires } as const;
    return change('ModifyBackupAttributes', command, call, ports);
  },
});
