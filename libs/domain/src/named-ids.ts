/**
 * Whom the ARNs in a policy meant when it was put: ARN of a user, role or session -> unique id of the user or role. Not in
 * it: what does not name one of this deployment. Undefined: nothing is recorded, as for policies of before there was this.
 */
export type NamedIds = Readonly<Record<string, string>>;

/** As events and states keep them: none rather than an empty one. */
export const recordedIds = (namedIds: NamedIds | undefined): { namedIds?: NamedIds } =>
  namedIds === undefined || Object.keys(namedIds).length === 0 ? {} : { namedIds };

/** Whether both mean the same principals. */
export function sameIds(one: NamedIds = {}, other: NamedIds = {}): boolean {
  const arns = Object.keys(one);
  return arns.length === Object.keys(other).length && arns.every((arn) => one[arn] === other[arn]);
}
