import ts from 'typescript';

const parsed = new Map<string, readonly RegExp[]>();

/** What tests and groups of a file may be called: titles of tables and templates are patterns. */
export function testTitlesOf(file: string, source: string): readonly RegExp[] {
  let titles = parsed.get(file);
  if (!titles) {
    titles = titlesIn(ts.createSourceFile(file, source, ts.ScriptTarget.ES2022));
    parsed.set(file, titles);
  }
  return titles;
}

function titlesIn(file: ts.SourceFile): RegExp[] {
  const titles: RegExp[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression)) {
      const [title] = node.arguments;
      if (title && (ts.isStringLiteralLike(title) || ts.isTemplateExpression(title))) titles.push(patternOf(title));
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return titles;
}

/** `test`, `test.only`, `describe.each(...)` and the like. */
function isTest(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return ['test', 'it', 'describe'].includes(callee.text);
  if (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) return isTest(callee.expression);
  return false;
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
