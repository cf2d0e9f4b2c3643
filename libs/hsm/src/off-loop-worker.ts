import { Piscina } from 'piscina';
import { SLOW_TASKS } from '#crypto/slow-tasks';

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

/** The same bytes with nothing beside them, as a slice of a shared buffer has; those that it was made of are zeroised. */
function alone(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  bytes.fill(0);
  return copy;
}

/** A result whose bytes are handed over: what is a secret stays in no thread but that which asked for it. */
function moved(result: unknown): unknown {
  if (isBytes(result)) return Piscina.move(alone(result) as Uint8Array<ArrayBuffer>);
  if (typeof result !== 'object' || result === null) return result;
  const members = Object.entries(result).map(([name, value]) => [name, isBytes(value) ? alone(value) : value] as const);
  return Piscina.move({
    [Piscina.transferableSymbol]: members.flatMap(([, value]) => (isBytes(value) ? [value.buffer as ArrayBuffer] : [])),
    [Piscina.valueSymbol]: Object.fromEntries(members),
  } as never);
}

/** What a worker thread is given, as piscina has it: bytes among the arguments are its own, and zeroised at the end. */
export default ({ task, args }: { task: keyof typeof SLOW_TASKS; args: unknown[] }): unknown => {
  try {
    return moved((SLOW_TASKS[task] as (...args: unknown[]) => unknown)(...args));
  } finally {
    for (const arg of args) if (isBytes(arg)) arg.fill(0);
  }
};
