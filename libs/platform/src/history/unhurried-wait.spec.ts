import { UnhurriedWait } from './unhurried-wait';

const HOUR = 3_600_000;
let hurried: boolean;
let wait: UnhurriedWait;

beforeEach(() => {
  jest.useFakeTimers();
  hurried = false;
  wait = new UnhurriedWait(() => hurried);
});
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

test('it lasts as long as it was asked for', async () => {
  let ended = false;
  const waiting = wait.for(250).then(() => (ended = true));
  await jest.advanceTimersByTimeAsync(249);
  expect(ended).toBe(false);
  await jest.advanceTimersByTimeAsync(1);
  await waiting;
});

test('whoever comes to wait meanwhile ends all that are under way', async () => {
  const waiting = [wait.for(HOUR), wait.for(2 * HOUR)];
  wait.cutShort();
  await Promise.all(waiting);
});

test('none is begun while somebody waits', async () => {
  hurried = true;
  await wait.for(HOUR);
});

test('it ends when it is told to, before and after', async () => {
  const ending = new AbortController();
  const waiting = wait.for(HOUR, ending.signal);
  ending.abort();
  await waiting;
  await wait.for(HOUR, ending.signal);
});
