export type Environment = Readonly<Record<string, string | undefined>>;

/** Gives the value if it is there and good, else the fallback; what is not good becomes a problem. */
export type ReadText = (
  name: string,
  ok: (value: string) => boolean,
  expected: string,
  fallback?: string,
) => string | undefined;
export type ReadInteger = (name: string, min: number, max: number, fallback: number) => number;

export interface SettingsReader {
  text: ReadText;
  integer: ReadInteger;
  /** What was asked for. */
  known: Set<string>;
}

export const LOG_LEVELS: readonly string[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];
export const isLogLevel = (text: string): boolean => LOG_LEVELS.includes(text);

/** Adds to `problems` what cannot be used, naming what was expected. */
export function settingsReader(environment: Environment, problems: string[]): SettingsReader {
  const known = new Set<string>();
  const text: ReadText = (name, ok, expected, fallback) => {
    const value = environment[name];
    known.add(name);
    if (value === undefined || value === '') return fallback;
    if (ok(value)) return value;
    problems.push(`${name}=${secret(name) ? '***' : JSON.stringify(value)}: expected ${expected}`);
    return fallback;
  };
  const integer: ReadInteger = (name, min, max, fallback) =>
    Number(
      text(
        name,
        (value) => /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max,
        `a whole number from ${min} to ${max}`,
        String(fallback),
      ),
    );
  return { text, integer, known };
}

const secret = (name: string): boolean => /SECRET|PASSWORD|ROOT_KEY|SEED|DATABASE_URL/.test(name);
