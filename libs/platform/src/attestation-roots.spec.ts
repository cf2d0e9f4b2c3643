import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pemOf, TestNitro } from '../../../test/support/attestation-documents';
import { openAttestations } from './attestation-roots';
import { SettingsError } from './settings';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const nitro = new TestNitro(NOW);
const folder = mkdtempSync(join(tmpdir(), 'keytrail-roots-'));
const nitroRoots = join(folder, 'roots.pem');

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the roots of the file are trusted', async () => {
  writeFileSync(nitroRoots, nitro.rootPem);
  await openAttestations({ nitroRoots }).verify(nitro.document(), NOW);
});

test('nobody is trusted without a file', async () => {
  await expect(openAttestations({}).verify(nitro.document(), NOW)).rejects.toThrow('KEYTRAIL_NITRO_ROOTS');
});

test.each([
  ['is not there', undefined, 'ENOENT'],
  ['is empty', '', 'it has no certificate in PEM'],
  ['has what is no authority', pemOf(nitro.signer), 'certificate 1 is not that of an authority'],
])('a file that %s is refused, by the name of its setting', (_what, content, why) => {
  rmSync(nitroRoots, { force: true });
  if (content !== undefined) writeFileSync(nitroRoots, content);
  const open = () => openAttestations({ nitroRoots });
  expect(open).toThrow(SettingsError);
  expect(open).toThrow(`KEYTRAIL_NITRO_ROOTS=${JSON.stringify(nitroRoots)}: `);
  expect(open).toThrow(why);
});
