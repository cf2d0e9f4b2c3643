/**
 * Places where a test has the process killed, as by `kill -9`: before and after each append, store and erase.
 * Off unless KEYTRAIL_FAIL_POINT names one, or one and a count: `before-append:KeyRotated#3` is the third time.
 */
export type FailPoint = (name: string) => void;

export function failPoints(setting: string | undefined): FailPoint {
  if (setting === undefined) return () => {};
  const [wanted, count = '1'] = setting.split('#');
  let left = Number(count);
  return (name) => {
    if (name === wanted && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
