import ts from 'typescript';

/** A test or a group of tests as it stands in its file. */
export interface WrittenTest {
  /** What it may be called: titles of tables and templates are patterns. */
  title: RegExp;
  /** All of it, with its table. */
  text: string;
  isGroup: boolean;
}

const parsed = new Map<string, readonly WrittenTest[]>();

export function testsIn(file: string, source: string): readonly WrittenTest[] {
  let tests = parsed.get(file);
  if (!tests) {
    tests = testsOf(ts.createSourceFile(file, source, ts.ScriptTarget.ES2022));
    parsed.set(file, tests);
  }
  return tests;
}

function testsOf(file: ts.SourceFile): WrittenTest[] {
  const tests: WrittenTest[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const name = calledName(node.expression);
      const [title] = node.arguments;
      if (
        ['test', 'it', 'describe'].includes(name) &&
        title &&
        (ts.isStringLiteralLike(title) || ts.isTemplateExpression(title))
      ) {
        tests.push({ title: patternOf(title), text: node.getText(file), isGroup: name === 'describe' });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return tests;
}

/** The `test` of `test`, `test.only`, `test.each(...)` and the like. */
function calledName(callee: ts.Expression): string {
  if (ts.isIdentifier(callee)) return callee.text;
  return ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee) ? calledName(callee.expression) : '';
}

function patternOf(title: ts.StringLiteralLike | ts.TemplateExpression): RegExp {
  const texts = ts.isTemplateExpression(title)
    ? [title.head.text, ...title.templateSpans.map(({ literal }) => literal.text)]
    : [title.text];
  return new RegExp(`^${texts.map(ofText).join('.*')}$`, 's');
}

const ofText = (text: string): string =>
  text
    .split(/%[sdifjoOp#$]|\$[\w.]+/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
