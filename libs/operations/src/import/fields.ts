import type { Constraint } from '../wire/constraints';

export const KEY_MATERIAL_ID = {
  kind: 'string',
  min: 64,
  max: 64,
  pattern: /^[a-f0-9]+$/,
} as const satisfies Constraint;
