import { KmsError } from '#domain/errors';
import { SettingsError } from './settings';

/** What a caller of the API is told names no cause; whoever starts the service needs it. */
const saidOf = (error: Error): string =>
  error instanceof KmsError && error.cause instanceof Error ? `${error.message} ${error.cause.message}` : error.message;

/** A start that failed, in words; the stack only where it is our own fault. */
export function reportFailure(name: string, error: unknown, portSetting = 'KEYTRAIL_PORT'): void {
  const known =
    error instanceof SettingsError || (error instanceof Error && error.name !== 'Error' && error.name !== 'TypeError');
  const code = (error as NodeJS.ErrnoException).code;
  const text = error instanceof Error ? (known ? saidOf(error) : (error.stack ?? error.message)) : String(error);
  const hint =
    code === 'EADDRINUSE' ? `\nAnother program listens there: stop it, or set ${portSetting} to another port.` : '';
  process.stderr.write(`${name}: ${text}${hint}\n`);
}
