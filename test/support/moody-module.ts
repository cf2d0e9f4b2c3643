import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { environmentOf } from '#hsm/cluster/member-folder';

export type Mood = 'well' | 'locked' | 'expired' | 'broken' | 'expelled';

/** A PKCS#11 module that fails as it is told to, around the one of SoftHSM. */
export class MoodyModule {
  private constructor(
    private readonly folder: string,
    readonly path: string,
  ) {}

  /** Undefined where there is no C compiler; says so, loudly. */
  static build(around: string): MoodyModule | undefined {
    const folder = mkdtempSync(join(tmpdir(), 'keytrail-moody-'));
    const path = join(folder, 'moody.so');
    const source = resolve(__dirname, '../fixtures/moody-module.c');
    const built = spawnSync('cc', ['-shared', '-fPIC', '-o', path, source, '-ldl'], { encoding: 'utf8' });
    process.env['MOODY_MODULE'] = around;
    if (built.status === 0) return new MoodyModule(folder, path);
    console.warn(`SKIPPED: tests with a PKCS#11 module that fails, since cc does not build it: ${built.stderr}`);
    return undefined;
  }

  /** Of the HSM in this folder, from its next call on. */
  put(member: string, mood: Mood): void {
    writeFileSync(`${confOf(member)}.mood`, mood);
  }

  loginsOf(member: string): number {
    const path = `${confOf(member)}.logins`;
    return existsSync(path) ? readFileSync(path).length : 0;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const confOf = (member: string): string => environmentOf(member)['SOFTHSM2_CONF']!;
