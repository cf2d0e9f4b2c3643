import { dataToSign, keyFingerprint, type TrailLogFile, trailDigest } from './trail-digest';
import { digestKey, logFileKey, trailTime } from './trail-names';

const PAIR = { account: '111122223333', region: 'us-east-2' };
const SIGNATURE = '50887ccffad4c002b97caa37cc9dc626';

describe('names', () => {
  const at = Date.parse('2015-08-01T02:10:59.999Z');

  test('of log files are as in the AWS CloudTrail User Guide, "CloudTrail log file name format"', () => {
    expect(logFileKey(PAIR, at, 'a')).toMatch(
      /^AWSLogs\/111122223333\/CloudTrail\/us-east-2\/2015\/08\/01\/111122223333_CloudTrail_us-east-2_20150801T0210Z_[A-Za-z0-9]{16}\.json\.gz$/,
    );
  });

  test('of log files differ for other records, another account and another region, and for nothing else', () => {
    const names = [
      logFileKey(PAIR, at, 'a'),
      logFileKey(PAIR, at, 'b'),
      logFileKey({ ...PAIR, account: '000000000000' }, at, 'a'),
      logFileKey({ ...PAIR, region: 'us-east-1' }, at, 'a'),
    ].map((key) => key.slice(-'1234567890123456.json.gz'.length));
    expect(new Set(names).size).toBe(4);
    expect(logFileKey(PAIR, at, 'a').slice(-24)).toBe(names[0]);
  });

  test('of digests are as in "CloudTrail digest file structure", the region of the trail last', () => {
    expect(digestKey(PAIR, 'eu-west-1', Date.parse('2015-08-17T15:01:31Z'))).toBe(
      'AWSLogs/111122223333/CloudTrail-Digest/us-east-2/2015/08/17/111122223333_CloudTrail-Digest_us-east-2_keytrail_eu-west-1_20150817T150131Z.json.gz',
    );
  });

  test('have whole seconds of times', () => {
    expect(trailTime(at)).toBe('2015-08-01T02:10:59Z');
  });
});

// "Custom implementations of CloudTrail log file integrity validation", B, sample response.
test.each([
  [
    'MIIBCgKCAQEAn11L2YZ9h7onug2ILi1MWyHiMRsTQjfWE+pHVRLk1QjfWhirG+lpOa8NrwQ/r7Ah5bNL6HepznOU9XTDSfmmnP97mqyc7z/upfZdS/AHhYcGaz7n6Wc/RRBU6VmiPCrAUojuSk6/GjvA8iOPFsYDuBtviXarvuLPlrT9kAd4Lb+rFfR5peEgBEkhlzc5HuWO7S0y+KunqxX6jQBnXGMtxmPBPP0FylgWGNdFtks/4YSKcgqwH0YDcawP9GGGDAeCIqPWIXDLG1jOjRRzWfCmD0iJUkz8vTsn4hq/5ZxRFE7UBAUiVcGbdnDdvVfhF9C3dQiDq3k7adQIziLT0cShgQIDAQAB',
    '8eba5db5bea9b640d1c96a77256fe7f2',
  ],
  [
    'MIIBCgKCAQEApfYL2FiZhpN74LNWVUzhR+VheYhwhYm8w0n5Gf6i95ylW5kBAWKVEmnAQG7BvS5g9SMqFDQx52fW7NWV44IvfJ2xGXT+wT+DgR6ZQ+6yxskQNqV5YcXj4Aa5Zz4jJfsYjDuO2MDTZNIzNvBNzaBJ+r2WIWAJ/Xq54kyF63B6WE38vKuDE7nSd1FqQuEoNBFLPInvgggYe2Ym1Refe2z71wNcJ2kY+q0h1BSHrSM8RWuJIw7MXwF9iQncg9jYzUlNJomozQzAG5wSRfbplcCYNY40xvGd/aAmO0m+Y+XFMrKwtLCwseHPvj843qVno6x4BJN9bpWnoPo9sdsbGoiK3QIDAQAB',
    '8933b39ddc64d26d8e14ffbf6566fee4',
  ],
])('a published public key has its published fingerprint', (value, fingerprint) => {
  expect(keyFingerprint(Buffer.from(value, 'base64'))).toBe(fingerprint);
});

test('what is signed is four lines: end, place, hash, and the signature before or null', () => {
  const parts = { end: '2015-08-12T04:01:31Z', bucket: 'b', key: 'AWSLogs/k.json.gz', hash: '4ff08d' };
  expect(dataToSign({ ...parts, previousSignature: SIGNATURE })).toBe(
    `2015-08-12T04:01:31Z\nb/AWSLogs/k.json.gz\n4ff08d\n${SIGNATURE}`,
  );
  expect(dataToSign({ ...parts, previousSignature: null })).toBe(
    '2015-08-12T04:01:31Z\nb/AWSLogs/k.json.gz\n4ff08d\nnull',
  );
});

describe('a digest', () => {
  const of = {
    account: PAIR.account,
    start: '2015-08-17T14:01:31Z',
    end: '2015-08-17T15:01:31Z',
    bucket: 'b',
    key: 'k',
    fingerprint: '31e8b5433410dfb61a9dc45cc65b22ff',
  };
  const file = (oldestEventTime: string, newestEventTime: string): TrailLogFile => ({
    ...{ s3Bucket: 'b', s3Object: 'o', hashValue: '9bb6', hashAlgorithm: 'SHA-256', newestEventTime, oldestEventTime },
  });
  // "CloudTrail digest file structure", sample digest file contents.
  const FIELDS = [
    'awsAccountId',
    'digestStartTime',
    'digestEndTime',
    'digestS3Bucket',
    'digestS3Object',
    'digestPublicKeyFingerprint',
    'digestSignatureAlgorithm',
    'newestEventTime',
    'oldestEventTime',
    'previousDigestS3Bucket',
    'previousDigestS3Object',
    'previousDigestHashValue',
    'previousDigestHashAlgorithm',
    'previousDigestSignature',
    'logFiles',
  ];

  test('has the published fields and no others, whatever is in it', () => {
    const previous = { bucket: 'b', key: 'p', hash: '97fb', signature: SIGNATURE };
    expect(Object.keys(trailDigest({ ...of, previous, logFiles: [file('a', 'b')] }))).toEqual(FIELDS);
    expect(Object.keys(trailDigest({ ...of, previous: null, logFiles: [] }))).toEqual(FIELDS);
  });

  test('names the oldest and newest event of all its log files', () => {
    const logFiles = [
      file('2015-08-17T14:42:27Z', '2015-08-17T14:43:00Z'),
      file('2015-08-17T14:41:00Z', '2015-08-17T14:42:00Z'),
      file('2015-08-17T14:42:00Z', '2015-08-17T14:52:27Z'),
    ];
    expect(trailDigest({ ...of, previous: null, logFiles })).toMatchObject({
      oldestEventTime: '2015-08-17T14:41:00Z',
      newestEventTime: '2015-08-17T14:52:27Z',
    });
  });

  test('says nothing where there was nothing', () => {
    expect(trailDigest({ ...of, previous: null, logFiles: [] })).toMatchObject({
      newestEventTime: null,
      oldestEventTime: null,
      previousDigestS3Bucket: null,
      previousDigestS3Object: null,
      previousDigestHashValue: null,
      previousDigestHashAlgorithm: null,
      previousDigestSignature: null,
      logFiles: [],
    });
  });
});
