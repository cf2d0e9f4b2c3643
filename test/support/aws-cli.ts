import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const hasProgram = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;

/** The unmodified AWS CLI as root of a data folder: its JSON, or its error message as a rejection. One attempt a request. */
export function awsCli<T = Record<string, unknown>>(dataDir: string, endpoint: string, ...args: string[]): Promise<T> {
  const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
  const env = {
    ...Object.fromEntries(outer),
    AWS_CONFIG_FILE: join(dataDir, 'aws/config'),
    AWS_SHARED_CREDENTIALS_FILE: join(dataDir, 'aws/credentials'),
    AWS_MAX_ATTEMPTS: '1',
  };
  return new Promise((resolve, reject) => {
    execFile('aws', ['--endpoint-url', endpoint, '--output', 'json', ...args], { env }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim()));
      else resolve(JSON.parse(stdout.trim() === '' ? '{}' : stdout) as T);
    });
  });
}
