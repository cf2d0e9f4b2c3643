import { majorityAgeMs } from './jetstream-api';

const MS = 1_000_000;
const replicas = (...ages: number[]) => ages.map((active) => ({ active: active * MS }));

describe('how long ago the leader heard from a majority', () => {
  test('is no question for a stream that one server keeps', () => {
    expect(majorityAgeMs({})).toBe(0);
    expect(majorityAgeMs({ cluster: { leader: 'n1' } })).toBe(0);
  });

  test('of three, is when it heard from either of the others', () => {
    expect(majorityAgeMs({ cluster: { leader: 'n1', replicas: replicas(9_000, 20) } })).toBe(20);
  });

  test('of five, is when it heard from two of the others', () => {
    expect(majorityAgeMs({ cluster: { leader: 'n1', replicas: replicas(5, 70_000, 40, 9_000) } })).toBe(40);
  });

  test('is for ever if it never did, or if nobody leads', () => {
    expect(majorityAgeMs({ cluster: { leader: 'n1', replicas: replicas(0, 0) } })).toBe(Number.POSITIVE_INFINITY);
    expect(majorityAgeMs({ cluster: { replicas: replicas(1, 1, 1) } })).toBe(Number.POSITIVE_INFINITY);
  });
});
