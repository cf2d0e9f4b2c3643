import type { ListPublicKeysResponse } from '@aws-sdk/client-cloudtrail';
import { KmsError } from '#domain/errors';
import { authorizeOwn } from '../authorization';
import { audit } from '../operation';
import type { Constraint } from '../wire/constraints';
import { Optional } from '../wire/fields';
import type { Wire } from '../wire/wire';

const TIME = { kind: 'timestamp' } as const satisfies Constraint;
/** The last moment that a date can say, in epoch seconds. */
const END_OF_TIME = 8_640_000_000_000;

class ListPublicKeys {
  @Optional(TIME) StartTime?: number;
  @Optional(TIME) EndTime?: number;
  @Optional({ kind: 'string', max: 1024 }) NextToken?: string;
}

/** The keys of whatever region: unlike AWS, Keytrail has one pair for all. */
export const listPublicKeys = audit<ListPublicKeys, Wire<ListPublicKeysResponse>>({
  name: 'ListPublicKeys',
  request: ListPublicKeys,
  async lookUp(request, call, { trailKeys }) {
    authorizeOwn(call, 'cloudtrail:ListPublicKeys', '*');
    const now = Date.parse(call.now) / 1000;
    const { StartTime = now, EndTime = now, NextToken } = request;
    if (NextToken !== undefined) throw new KmsError('InvalidTokenException', 'NextToken: expected none.');
    const isDate = (time: number): boolean => Math.abs(time) <= END_OF_TIME;
    if (!isDate(StartTime) || !isDate(EndTime) || StartTime > EndTime) {
      throw new KmsError('InvalidTimeRangeException', 'StartTime: expected a time that is not after EndTime.');
    }
    const valid = (await trailKeys()).filter(({ from, until }) => from <= EndTime && until >= StartTime);
    return {
      PublicKeyList: valid.map(({ value, fingerprint, from, until }) => ({
        Value: Buffer.from(value).toString('base64'),
        ValidityStartTime: from,
        ValidityEndTime: until,
        Fingerprint: fingerprint,
      })),
    };
  },
});
