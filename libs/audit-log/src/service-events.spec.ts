import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeCommit } from '#domain/commit-codec';
import { serviceEventsOf } from './service-events';

interface Golden {
  commits: { subject: string; commit: string }[];
}
const golden = JSON.parse(readFileSync(join(__dirname, '../../domain/src/golden/commits-v1.json'), 'utf8')) as Golden;
const commits = golden.commits.map(({ subject, commit }) => decodeCommit(subject, Buffer.from(commit)));
const timers = commits.filter(({ principal }) => principal.startsWith('keytrail:'));

test('an automatic rotation and the deletion of a key are on record as AWS calls them, dated as they were due', () => {
  const records = timers.flatMap(serviceEventsOf);
  expect(records.map(({ eventName, eventTime }) => [eventName, eventTime])).toEqual([
    ['RotateKey', '2027-02-25T00:00:00Z'],
    ['DeleteKey', '2027-07-15T00:00:00Z'],
  ]);
  expect(records[0]).toMatchObject({
    userIdentity: { accountId: '000000000000', invokedBy: 'AWS Internal' },
    eventType: 'AwsServiceEvent',
    readOnly: false,
    serviceEventDetails: {
      keyId: '8c0c3863-e6c5-4f5a-99f1-27e414aafb91',
      rotationType: 'AUTOMATIC',
      currentKeyMaterialId: expect.any(String),
    },
    resources: [{ ARN: 'arn:aws:kms:us-east-1:000000000000:key/8c0c3863-e6c5-4f5a-99f1-27e414aafb91' }],
  });
});

test('so is the end of imported material', () => {
  const imports = JSON.parse(
    readFileSync(join(__dirname, '../../domain/src/golden/imports-v1.json'), 'utf8'),
  ) as Golden;
  const records = imports.commits.flatMap(({ subject, commit }) =>
    serviceEventsOf(decodeCommit(subject, Buffer.from(commit))),
  );
  expect(records).toMatchObject([
    {
      eventName: 'DeleteExpiredKeyMaterial',
      eventTime: '2027-10-11T00:00:00Z',
      serviceEventDetails: { keyId: '5b2f8a5e-93c4-4a86-9d53-3f6a30c1e7d2', keyMaterialId: '3c9d1f0b'.repeat(8) },
    },
  ]);
});

test('what somebody asked for has no record beside that of the call', () => {
  const asked = commits.filter((commit) => !timers.includes(commit));
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.flatMap(serviceEventsOf)).toEqual([]);
});

test('the id of a record follows from the commit, and is no other one', () => {
  const ids = timers.flatMap(serviceEventsOf).map(({ eventID }) => eventID);
  expect(timers.flatMap(serviceEventsOf).map(({ eventID }) => eventID)).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

describe('of multi-Region keys', () => {
  const { commits: related } = JSON.parse(
    readFileSync(join(__dirname, '../../domain/src/golden/multi-region-v1.json'), 'utf8'),
  ) as Golden;
  const records = related
    .map(({ subject, commit }) => decodeCommit(subject, Buffer.from(commit)))
    .flatMap(serviceEventsOf);

  test('what a call causes in another region is on record there, and synchronizing in the primary’s', () => {
    const found = new Set(records.map(({ eventName, awsRegion }) => `${eventName} ${awsRegion}`));
    expect([...found].sort()).toEqual([
      'CreateKey ap-south-1',
      'CreateKey eu-central-1',
      'CreateKey us-west-2',
      'DeleteKey ap-south-1',
      'DeleteKey us-west-2',
      'SynchronizeMultiRegionKey us-west-2',
      'UpdatePrimaryRegion eu-central-1',
    ]);
  });

  test('has the form of a call that AWS made itself', () => {
    const record = records.find(({ eventName }) => eventName === 'SynchronizeMultiRegionKey');
    const keyId = expect.stringMatching(/^arn:aws:kms:us-west-2:000000000000:key\/mrk-[0-9a-f]{32}$/);
    expect(record).toMatchObject({
      eventType: 'AwsApiCall',
      userIdentity: { invokedBy: 'AWS Internal' },
      requestID: expect.any(String),
      requestParameters: null,
      responseElements: { keyId },
      resources: [{ ARN: keyId }],
    });
    expect(record).not.toHaveProperty('serviceEventDetails');
  });
});
