import { keyArn } from '#domain/arn';
import type { AggregateRef } from '#domain/subjects';
import type { Call } from '../operation';

/** What is asked in one region and is about another one: the same caller there. */
export const inRegion = (region: string, call: Call): Call => ({ ...call, caller: { ...call.caller, region } });

/** The ARN of the related key in a region. */
export const relatedArn = (region: string, { account, id }: AggregateRef): string => keyArn(region, account, id);

/** As the API model has it. */
export const REGION = { kind: 'string', min: 1, max: 32, pattern: /^([a-z]+-){2,3}\d+$/ } as const;
