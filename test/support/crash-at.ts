import { type KeytrailProcess, startProcess } from './processes';

/**
 * Has the server, which `settings` started on a data folder, reach a fail-point by `drive` and die of it: the one that comes back
 * on the same data, without the fail-point.
 */
export async function crashedAt(
  point: string,
  { server, dataDir, settings }: { server: KeytrailProcess; dataDir: string; settings: Record<string, string> },
  drive: (doomed: KeytrailProcess) => Promise<unknown>,
): Promise<KeytrailProcess> {
  await server.stop();
  const doomed = await startProcess(dataDir, { ...settings, KEYTRAIL_FAIL_POINT: point });
  const answered = drive(doomed).then(
    () => 'answered',
    () => 'failed',
  );
  expect(await doomed.gone).toBe('SIGKILL');
  expect(await answered).toBe('failed');
  return startProcess(dataDir, settings);
}
