import { authorize } from './authorize';
import { denialMessage } from './decision';
import {
  ADMIN_ROLE,
  alice,
  allow,
  ann,
  type DecisionCase,
  deny,
  HOME,
  KEY,
  policiesOf,
  requestOf,
} from './decision-cases/case';

function message(each: Omit<DecisionCase, 'name' | 'expect'>): string {
  const whole = { name: '', expect: '', ...each };
  return denialMessage(requestOf(whole), authorize(requestOf(whole), policiesOf(whole)));
}

const who = `User: ${alice.arn} is not authorized to perform:`;
const whoInSession = `User: ${ann.arn} is not authorized to perform:`;
const home = [allow({ who: HOME })];

describe('who is denied reads', () => {
  it.each<[string, Omit<DecisionCase, 'name' | 'expect'>, string]>([
    [
      'that no key policy allows',
      { key: [allow({ who: ADMIN_ROLE })] },
      `${who} kms:Decrypt on resource: ${KEY} because no resource-based policy allows the kms:Decrypt action`,
    ],
    [
      'that no policy of their own allows',
      { key: home },
      `${who} kms:Decrypt on resource: ${KEY} because no identity-based policy allows the kms:Decrypt action`,
    ],
    [
      'that no policy of their own allows an action without a key',
      { does: 'kms:CreateKey', on: '*' },
      `${who} kms:CreateKey on resource: * because no identity-based policy allows the kms:CreateKey action`,
    ],
    [
      'that no session policy allows',
      { by: ann, key: home, identity: { own: [allow({})] }, session: [allow({ does: 'kms:Encrypt' })] },
      `${whoInSession} kms:Decrypt on resource: ${KEY} because no session policy allows the kms:Decrypt action`,
    ],
    [
      'that the key policy denies',
      { key: [...home, deny({ who: '*' })] },
      `${who} kms:Decrypt on resource: ${KEY} with an explicit deny in a resource-based policy`,
    ],
    [
      'that a policy of their own denies',
      { key: home, identity: { own: [deny({})] } },
      `${who} kms:Decrypt on resource: ${KEY} with an explicit deny in an identity-based policy`,
    ],
    [
      'that the session policy denies',
      { by: ann, key: home, identity: { own: [allow({})] }, session: [deny({})] },
      `${whoInSession} kms:Decrypt on resource: ${KEY} with an explicit deny in a session policy`,
    ],
  ])('%s', (_, each, expected) => {
    expect(message(each)).toBe(expected);
  });
});

test('a decision that allows has no such message', () => {
  expect(() => message({ key: [allow({ who: alice.arn })] })).toThrow('kms:Decrypt was not denied');
});

test('a decision names the statement by its Sid', () => {
  const named = { name: '', expect: '', key: [...home, deny({ who: '*', sid: 'Nobody at all' })] };
  expect(authorize(requestOf(named), policiesOf(named))).toEqual({
    allowed: false,
    decidedBy: {
      kind: 'statement',
      type: 'resource-based policy',
      policy: 'key policy',
      sid: 'Nobody at all',
      index: 1,
      effect: 'Deny',
    },
  });
});
