import fc from 'fast-check';
import { amzDateOfHttpDate, formatAmzDate, parseAmzDate } from './amz-date';

const YEAR_9999_END = Date.UTC(9999, 11, 31, 23, 59, 59);
const seconds = fc.integer({ min: -62_167_219_200, max: YEAR_9999_END / 1000 });

describe('dates of signed requests', () => {
  it('come back from text as they went in', () => {
    fc.assert(fc.property(seconds, (value) => parseAmzDate(formatAmzDate(value * 1000)) === value * 1000));
  });

  it('come from HTTP dates as JavaScript reads them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: YEAR_9999_END / 1000 }), (value) => {
        expect(amzDateOfHttpDate(new Date(value * 1000).toUTCString())).toBe(formatAmzDate(value * 1000));
      }),
    );
  });

  it.each([
    '20150832T123600Z',
    '20150229T000000Z',
    '20151301T000000Z',
    '20150001T000000Z',
    '20150100T000000Z',
    '20150830T240000Z',
    '20150830T126000Z',
    '20150830T123660Z',
    '2015-08-30T12:36Z',
    '20150830T123600',
    '20150830t123600z',
    '2015083 T123600Z',
    '+0150830T123600Z',
    '',
  ])('are none when they are %j', (text) => {
    expect(parseAmzDate(text)).toBeUndefined();
  });

  it.each([
    'Sun, 31 Feb 2015 12:36:00 GMT',
    'Sun, 30 Aug 2015 12:36:00 PST',
    'Sun, 30 Aug 2015 12:36:00 +0200',
    'Sunday, 30-Aug-15 12:36:00 GMT',
    'Sun, 30 Aug 2015 12:36:00 GMT ',
  ])('are none when the Date header is %j', (text) => {
    expect(amzDateOfHttpDate(text)).toBeUndefined();
  });
});
