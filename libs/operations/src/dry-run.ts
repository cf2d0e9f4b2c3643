import { KmsError, RequestFault } from '#domain/errors';

export const DRY_RUN_MODIFIERS = { kind: 'enums', values: ['IGNORE_CIPHERTEXT'] } as const;
export type DryRunModifier = (typeof DRY_RUN_MODIFIERS.values)[number];

const dryRunEnded = (): KmsError =>
  new KmsError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');

/** Ends a dry run, after every check has passed. */
export function endDryRun(dryRun: boolean | undefined): void {
  if (dryRun) throw dryRunEnded();
}

/**
 * Whether a dry run asks only whether its key may be used, with or without a ciphertext. Throws ValidationException
 * for a modifier of what is no dry run.
 */
export function ignoresCiphertext(request: { DryRun?: boolean; DryRunModifiers?: readonly DryRunModifier[] }): boolean {
  if (!request.DryRunModifiers || request.DryRunModifiers.length === 0) return false;
  if (!request.DryRun) {
    throw new RequestFault('DryRunModifiers can be specified only when DryRun is true.');
  }
  return true;
}
