import { OPERATION_TABLE } from '#operations/table';
import { KMS_MODEL } from './kms-model';
import { reasonFor, whyNotServed } from './not-shown';
import type { ShownErrors } from './shown-errors';

interface Row {
  operation: string;
  code: string;
  file: string;
  what: string;
}

export interface Conformance {
  shown: Row[];
  /** With the reason. */
  notShown: Row[];
  /** Neither shown nor explained. */
  missing: Row[];
  notServed: string[];
}

const isServed = (operation: string): boolean => OPERATION_TABLE.get(operation)?.service === 'kms';

/** Each error that each operation declares, and what is known of it. */
export function conformanceOf(shownErrors: ShownErrors): Conformance {
  const found: Conformance = { shown: [], notShown: [], missing: [], notServed: [] };
  for (const [operation, { errors }] of Object.entries(KMS_MODEL.operations)) {
    if (!isServed(operation)) {
      found.notServed.push(operation);
      continue;
    }
    for (const code of errors) {
      const by = shownErrors[operation]?.[code];
      const reason = reasonFor(operation, code);
      if (by) found.shown.push({ operation, code, file: by.file, what: by.test });
      else if (reason !== undefined) found.notShown.push({ operation, code, file: '', what: reason });
      else found.missing.push({ operation, code, file: '', what: '' });
    }
  }
  return found;
}

/** docs/conformance.md. */
export function reportOf({ shown, notShown, missing, notServed }: Conformance): string {
  const total = Object.keys(KMS_MODEL.operations).length;
  const errors = shown.length + notShown.length + missing.length;
  const paragraphs = [
    '# Conformance',
    'Which test shows each error that AWS declares for each operation. Made by `npm run conformance`; not to be edited.',
    'A row stands for a test that passed, was answered with that error by that operation, and names the error in its text. The test fails when that is no longer so. `npm run conformance -- <suites>` runs suites and records what they show.',
    `${total - notServed.length} of ${total} operations are served. Of the ${errors} errors that they declare, ${shown.length} are shown, ${notShown.length} have a reason why not, ${missing.length} have neither.`,
    ...(missing.length > 0
      ? ['## Neither shown nor explained', table(['operation', 'error'], missing, (row) => [row.operation, row.code])]
      : []),
    '## Shown',
    table(['operation', 'error', 'suite', 'test'], shown, (row) => [row.operation, row.code, row.file, row.what]),
    '## Shown by no test, and why',
    table(['operation', 'error', 'why'], notShown, (row) => [row.operation, row.code, row.what]),
    ...(notServed.length > 0
      ? ['## Not served', notServed.map((name) => `- ${name}: ${whyNotServed(name)}`).join('\n')]
      : []),
  ];
  return `${paragraphs.join('\n\n')}\n`;
}

/** As the formatter has it: a column is as wide as its widest cell. */
function table(heads: string[], rows: readonly Row[], cellsOf: (row: Row) => string[]): string {
  const lines = [heads, ...rows.map((row) => cellsOf(row).map(cell))];
  const widths = heads.map((_head, column) => Math.max(3, ...lines.map((cells) => cells[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => text.padEnd(widths[column]!)).join(' | ')} |`;
  const [head = '', ...others] = lines.map(line);
  return [head, line(widths.map((width) => '-'.repeat(width))), ...others].join('\n');
}

const cell = (text: string): string => text.replace(/\s+/g, ' ').replace(/[|<>]/g, (mark) => `\\${mark}`);
