import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { conformanceOf, reportOf } from './report';
import { merged, ROOT, readShownErrors, SHOWN_ERRORS, type TestRun } from './shown-errors';

/** `main.js [folder]`: with what suites that were run showed, if a folder has it; see scripts/conformance. */
const [folder] = process.argv.slice(2);
let shownErrors = readShownErrors();
if (folder !== undefined) {
  const runs = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as TestRun);
  shownErrors = merged(shownErrors, runs);
  writeFileSync(SHOWN_ERRORS, `${JSON.stringify(shownErrors, undefined, 2)}\n`);
}
const conformance = conformanceOf(shownErrors);
writeFileSync(join(ROOT, 'docs/conformance.md'), reportOf(conformance));
const { shown, notShown, missing } = conformance;
console.log(
  `docs/conformance.md: ${shown.length} errors shown, ${notShown.length} with a reason why not, ${missing.length} neither`,
);
for (const { operation, code } of missing) console.log(`  ${operation} ${code}`);
