import { PUBLISHED_CELLS } from '../../../../test/support/published-states';
import { KmsError } from '../errors';
import { assertStateAllows, type KeyOperation, type KeyStateName, STATE_TABLE } from './state-table';

const ARN = 'arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000';

const outcomeOf = (operation: KeyOperation, state: KeyStateName): { code: string; message: string } => {
  try {
    assertStateAllows(operation, state, ARN);
    return { code: 'ok', message: '' };
  } catch (error) {
    if (error instanceof KmsError) return { code: error.code, message: error.message };
    throw error;
  }
};

describe('the state table', () => {
  test.each(PUBLISHED_CELLS)('%s on a key that is %s: %s', (operation, state, code, outcome) => {
    const found = outcomeOf(operation, state);
    expect(found.code).toBe(code);
    if (outcome === 'D') expect(found.message).toBe(`${ARN} is disabled.`);
    if (outcome === 'P' && state === 'PendingDeletion') expect(found.message).toBe(`${ARN} is pending deletion.`);
    if (operation === 'CancelKeyDeletion' && code !== 'ok')
      expect(found.message).toBe(`${ARN} is not pending deletion.`);
  });

  test('holds each operation once, and every operation of the table', () => {
    expect(new Set(PUBLISHED_CELLS.map(([operation]) => operation))).toEqual(new Set(Object.keys(STATE_TABLE)));
  });
});
