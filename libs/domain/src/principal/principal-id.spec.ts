import fc from 'fast-check';
import { eventSubject, parseEventSubject } from '../subjects';
import { accountRef, parsePrincipalId, roleId, roleRef, userId, userRef } from './principal-id';

/** The characters that IAM allows in names. */
const iamName = fc.stringMatching(/^[\w+=,.@-]{1,64}$/);

describe('the id of a principal', () => {
  test('is its name in lower case behind its kind, with dots escaped', () => {
    expect(userId('Ann.Orders@example-1')).toBe('user:ann%2Eorders@example-1');
    expect(roleId('Orders')).toBe('role:orders');
    expect(parsePrincipalId('user:ann%2Eorders@example-1')).toEqual({ kind: 'User', name: 'ann.orders@example-1' });
    expect(parsePrincipalId('account')).toEqual({ kind: 'Account' });
  });

  test('is read back as the name without case, for every name', () => {
    fc.assert(
      fc.property(fc.oneof(iamName, fc.string({ unit: 'grapheme' })), (name) => {
        expect(parsePrincipalId(userId(name))).toEqual({ kind: 'User', name: name.toLowerCase() });
        expect(parsePrincipalId(roleId(name))).toEqual({ kind: 'Role', name: name.toLowerCase() });
      }),
    );
  });

  test('fits into a subject token, for every name, and the subject is read back', () => {
    fc.assert(
      fc.property(fc.oneof(iamName, fc.string({ minLength: 1, unit: 'grapheme' })), (name) => {
        for (const ref of [userRef('000000000000', name), roleRef('000000000000', name)]) {
          expect(ref.id).toMatch(/^[!-~]+$/);
          expect(ref.id).not.toMatch(/[.*>]/);
          expect(parseEventSubject(eventSubject(ref))).toEqual(ref);
        }
      }),
    );
  });

  test('of an account is in no region', () => {
    expect(eventSubject(accountRef('000000000000'))).toBe('kms.evt.global.000000000000.principal.account');
  });

  test.each(['', 'user', 'group:ann', 'ACCOUNT'])('is not %j', (id) => {
    expect(() => parsePrincipalId(id)).toThrow(/not the id of a principal/);
  });
});
