import { authorize } from './authorize';
import { type DecisionCase, policiesOf, requestOf, worded } from './decision-cases/case';
import { ELEMENTS } from './decision-cases/elements';
import { GRANTS } from './decision-cases/grants';
import { KEY_POLICIES } from './decision-cases/key-policies';
import { NAMED_IDS } from './decision-cases/named-ids';
import { SESSION_POLICIES } from './decision-cases/session-policies';
import { WITHOUT_A_KEY } from './decision-cases/without-a-key';
import { explain } from './explain';

const THEMES: [string, DecisionCase[]][] = [
  ['what key policies give to whom', KEY_POLICIES],
  ['what session policies take away', SESSION_POLICIES],
  ['what grants give', GRANTS],
  ['what is left to the namesakes of the deleted', NAMED_IDS],
  ['what needs no key', WITHOUT_A_KEY],
  ['how statements fit', ELEMENTS],
];

describe.each(THEMES)('%s', (_, cases) => {
  it.each(cases.map((each) => [each.name, each] as const))('%s', (_name, each) => {
    const decision = authorize(requestOf(each), policiesOf(each));
    expect(worded(decision)).toBe(each.expect);
    expect(explain(requestOf(each), policiesOf(each)).decision).toEqual(decision);
  });
});

test('every case has a name of its own', () => {
  const names = THEMES.flatMap(([, cases]) => cases.map(({ name }) => name));
  expect(names.length).toBeGreaterThan(300);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});
