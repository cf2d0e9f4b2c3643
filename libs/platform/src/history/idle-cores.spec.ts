import { idleCores } from './idle-cores';

test('tells what nobody used of the cores since it was asked before, once a second', () => {
  let nowMs = 0;
  let busyMs = 5_000_000;
  const idle = idleCores(
    () => nowMs,
    () => ({ cores: 4, busyMs }),
  );
  expect(idle()).toBe(4);
  nowMs = 2_000;
  busyMs += 7_000;
  expect(idle()).toBe(0.5);
  nowMs = 2_900;
  busyMs += 900;
  expect(idle()).toBe(0.5);
  nowMs = 4_000;
  busyMs += 100;
  expect(idle()).toBe(3.5);
});
