import { RelatedRegions, relatedArnIn } from '../../../../../test/support/related-regions';
import { plusDays } from '../../dates';
import type { KeyCommand } from '../commands';
import { importOwner } from '../material-owner';
import { cryptographicState } from './copies';
import { awaitsRelated } from './related';

const HOME = 'us-east-1';
const AWAY = 'eu-west-1';
const THIRD = 'ap-south-1';
const T0 = '2026-01-01T00:00:00.000Z';
const DAY = (days: number): string => plusDays(T0, days);
const ID = { a: 'a'.repeat(64), b: 'b'.repeat(64), c: 'c'.repeat(64) };
type Name = keyof typeof ID;

const CREATE = {
  ...{ type: 'CreateKey', description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT' },
  ...{ origin: 'EXTERNAL', multiRegion: true, policy: '{}', tags: [] },
} as const satisfies KeyCommand;
const replicate = (replicaRegion: string, generation = 1): KeyCommand => ({
  ...{ type: 'BeginReplication', replicaRegion, generation },
  ...{ description: '', policy: '{}', tags: [] },
});
let copies = 0;
const bring = (name: Name, more: object = {}): KeyCommand => ({
  type: 'ImportKeyMaterial',
  materialId: ID[name],
  storedAs: `${ID[name]}-${++copies}`,
  ...more,
});
const NEW = { importType: 'NEW_KEY_MATERIAL' };
const remove = (name: Name): KeyCommand => ({ type: 'DeleteImportedKeyMaterial', keyMaterialId: ID[name] });
const ROTATE: KeyCommand = { type: 'RotateKeyOnDemand' };

/** A primary with material a; its replicas have imported it too. */
function given(...replicas: string[]): RelatedRegions {
  const regions = new RelatedRegions(T0);
  regions.ask(HOME, CREATE);
  regions.ask(HOME, bring('a'));
  for (const region of replicas) regions.ask(HOME, replicate(region));
  regions.settle();
  for (const region of replicas) regions.ask(region, bring('a'));
  return regions;
}

/** And material b waits for a rotation, imported wherever it is to be. */
function waiting(...replicas: string[]): RelatedRegions {
  const regions = given(...replicas);
  regions.ask(HOME, bring('b', NEW));
  regions.settle();
  for (const region of replicas) regions.ask(region, bring('b'));
  regions.settle();
  return regions;
}

const materials = (regions: RelatedRegions, region: string): string[] =>
  regions.living(region).versions.map(({ materialId, storedAs }) => `${materialId[0]}${storedAs ? '' : ' missing'}`);
const pending = (regions: RelatedRegions, region: string): string | undefined => {
  const { pendingRotation } = regions.living(region);
  return pendingRotation && `${pendingRotation.materialId[0]}${pendingRotation.storedAs ? '' : ' missing'}`;
};
const awaits = (regions: RelatedRegions): boolean => awaitsRelated(regions.living(HOME));

describe('a multi-Region key of origin EXTERNAL', () => {
  test('is a primary without material, and is not replicated before it has some', () => {
    const regions = new RelatedRegions(T0);
    regions.ask(HOME, CREATE);
    expect(regions.states(HOME)).toEqual(['PRIMARY PendingImport']);
    expect(regions.refused(HOME, replicate(AWAY))).toBe(
      `KMSInvalidStateException: ${relatedArnIn(HOME)} is pending import.`,
    );
  });

  test('has replicas that know of its material and have none', () => {
    const regions = new RelatedRegions(T0);
    regions.ask(HOME, CREATE);
    regions.ask(HOME, bring('a', { description: 'in the safe', validTo: DAY(9) }));
    regions.ask(HOME, replicate(AWAY));
    expect(regions.settle()).toEqual([
      `${AWAY} KeyReplicated`,
      `${HOME} KeyReplicationCompleted`,
      `${AWAY} KeyReplicaReady`,
    ]);
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'REPLICA PendingImport']);
    expect(regions.living(AWAY).versions).toEqual([
      { version: 1, materialId: ID.a, since: T0, cause: 'CREATED', imported: { importState: 'PENDING_IMPORT' } },
    ]);
  });

  test('has one material id in all regions, which another key has not', () => {
    const [here, there] = [HOME, AWAY].map((region) => importOwner(relatedArnIn(region), { multiRegion: true }));
    expect(here).toBe('arn:aws:kms::000000000000:key/mrk-0123456789abcdef0123456789abcdef');
    expect(there).toBe(here);
    expect(importOwner(relatedArnIn(HOME), { multiRegion: false })).toBe(relatedArnIn(HOME));
  });

  test.each(['SYMMETRIC_DEFAULT', 'HMAC_256', 'RSA_2048', 'ECC_NIST_P256'] as const)(
    'of %s has replicas that take the same material and no other',
    (keySpec) => {
      const regions = new RelatedRegions(T0);
      regions.ask(HOME, { ...CREATE, keySpec });
      regions.ask(HOME, bring('a', { publicKey: 'MAA=' }));
      regions.ask(HOME, replicate(AWAY));
      regions.settle();
      expect(regions.refused(AWAY, bring('b'))).toBe(
        `IncorrectKeyMaterialException: The key material is not associated with ${relatedArnIn(AWAY)}.`,
      );
      regions.ask(AWAY, bring('a', { publicKey: 'MAA=' }));
      expect(regions.states(AWAY)).toEqual(['REPLICA Enabled']);
      expect(regions.living(AWAY)).toMatchObject({ publicKey: 'MAA=', versions: [{ materialId: ID.a }] });
    },
  );

  test('has copies that end in their own region alone', () => {
    const regions = given(AWAY);
    regions.ask(AWAY, bring('a', { validTo: DAY(1) }));
    regions.ask(HOME, bring('a', { validTo: DAY(2) }));
    regions.now = DAY(1);
    regions.ask(AWAY, { type: 'FireMaterialExpiry', deadline: DAY(1) });
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'REPLICA PendingImport']);
    regions.ask(AWAY, bring('a'));
    regions.ask(HOME, remove('a'));
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY PendingImport', 'REPLICA Enabled']);
    expect(regions.settle()).toEqual([]);
    const released = [HOME, AWAY].map((region) => regions.living(region).released?.length);
    expect(released).toEqual([2, 2]);
  });
});

describe('new material', () => {
  test('comes by the primary alone', () => {
    const regions = given(AWAY);
    expect(regions.refused(AWAY, bring('b', NEW))).toBe(
      `UnsupportedOperationException: ${relatedArnIn(AWAY)} is a multi-Region replica key: ` +
        'new key material can only be imported into its primary key.',
    );
  });

  test('waits until it is imported into every replica; then the rotation takes effect in all', () => {
    const regions = given(AWAY, THIRD);
    regions.ask(HOME, bring('b', NEW));
    expect(regions.settle()).toEqual([`${AWAY} KeySynchronized`, `${THIRD} KeySynchronized`]);
    expect([HOME, AWAY, THIRD].map((region) => pending(regions, region))).toEqual(['b', 'b missing', 'b missing']);
    for (const region of [AWAY, THIRD]) {
      expect(regions.refused(HOME, ROTATE)).toBe(
        `KMSInvalidStateException: ${relatedArnIn(HOME)} has key material that is pending multi-Region import and rotation.`,
      );
      expect(awaits(regions)).toBe(true);
      regions.ask(region, bring('b', { importType: 'EXISTING_KEY_MATERIAL' }));
      expect(regions.settle()).toEqual([`${HOME} KeyReplicaMaterialImported`]);
    }
    expect(awaits(regions)).toBe(false);
    expect(regions.refused(AWAY, ROTATE)).toMatch(/^UnsupportedOperationException: .* primary key\.$/);
    regions.ask(HOME, ROTATE);
    expect(regions.settle()).toEqual([`${AWAY} KeySynchronized`, `${THIRD} KeySynchronized`]);
    for (const region of [HOME, AWAY, THIRD]) {
      expect([materials(regions, region), pending(regions, region)]).toEqual([['a', 'b'], undefined]);
      expect(regions.living(region)).toMatchObject({ keyState: 'Enabled' });
      expect(regions.living(region).released).toBeUndefined();
    }
    expect(regions.refused(HOME, ROTATE)).toContain('No available key material pending rotation');
  });

  test('needs no replica where there is none, and is waited for again where one is made', () => {
    const regions = waiting();
    expect(awaits(regions)).toBe(false);
    regions.ask(HOME, replicate(AWAY));
    expect(awaits(regions)).toBe(true);
    regions.settle();
    expect([materials(regions, AWAY), pending(regions, AWAY)]).toEqual([['a missing'], 'b missing']);
    regions.ask(AWAY, bring('b'));
    expect(regions.states(AWAY)).toEqual(['REPLICA PendingImport']);
    regions.settle();
    expect(awaits(regions)).toBe(false);
  });

  test('is not waited for by a replica that is gone', () => {
    const regions = given(AWAY);
    regions.ask(HOME, bring('b', NEW));
    regions.settle();
    regions.ask(AWAY, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
    expect(awaits(regions)).toBe(true);
    regions.now = DAY(7);
    regions.ask(AWAY, { type: 'FireDeletion', deadline: DAY(7) });
    regions.settle();
    expect(awaits(regions)).toBe(false);
  });

  test('that a replica had and deleted again changes nothing at the primary; the rotation leaves that replica to import it', () => {
    const regions = waiting(AWAY);
    regions.ask(AWAY, remove('b'));
    expect(regions.settle()).toEqual([]);
    expect([awaits(regions), pending(regions, AWAY)]).toEqual([false, 'b missing']);
    regions.ask(HOME, ROTATE);
    regions.settle();
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'REPLICA PendingImport']);
    regions.ask(AWAY, bring('b'));
    expect(regions.states(AWAY)).toEqual(['REPLICA Enabled']);
  });

  test.each<[string, (regions: RelatedRegions) => void]>([
    ['deleted', (regions) => regions.ask(HOME, remove('b'))],
    [
      'over by its date',
      (regions) => {
        regions.ask(HOME, bring('b', { validTo: DAY(1) }));
        regions.now = DAY(1);
        regions.ask(HOME, { type: 'FireMaterialExpiry', deadline: DAY(1) });
      },
    ],
  ])('that is %s in the primary before its rotation is gone from the replicas too', (_how, end) => {
    const regions = waiting(AWAY);
    end(regions);
    expect(regions.settle()).toEqual([`${AWAY} KeySynchronized`]);
    expect([HOME, AWAY].map((region) => pending(regions, region))).toEqual([undefined, undefined]);
    expect(regions.living(AWAY).released).toEqual([
      { storedAs: expect.stringMatching(`^${ID.b}-`), since: regions.now },
    ]);
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'REPLICA Enabled']);
    // Brought again, it is waited for anew.
    regions.ask(HOME, bring('b', NEW));
    regions.settle();
    expect(awaits(regions)).toBe(true);
  });

  test('that a replica has is not lost to a step that was worked out before, and a late record of it does nothing', () => {
    const regions = given(AWAY);
    regions.ask(HOME, bring('b', NEW));
    const [early] = regions.due();
    regions.settle();
    regions.ask(AWAY, bring('b'));
    const [record] = regions.due();
    expect(record?.command.type).toBe('RecordReplicaImport');
    regions.ask(HOME, remove('b'));
    regions.settle();
    regions.ask(HOME, bring('b', NEW));
    expect(regions.ask(HOME, record!.command)).toEqual([]);
    regions.settle();
    regions.ask(AWAY, bring('b'));
    expect(regions.ask(AWAY, early!.command)).toEqual([]);
    expect(pending(regions, AWAY)).toBe('b');
  });
});

describe('another primary', () => {
  const handOver = (regions: RelatedRegions): void => {
    regions.ask(HOME, { type: 'HandOverPrimary', primaryRegion: AWAY });
    regions.settle();
  };

  test('takes over what waits, and who has imported it', () => {
    const regions = waiting(AWAY, THIRD);
    handOver(regions);
    expect(regions.states(HOME, AWAY, THIRD)).toEqual(['REPLICA Enabled', 'PRIMARY Enabled', 'REPLICA Enabled']);
    regions.ask(AWAY, ROTATE);
    regions.settle();
    for (const region of [HOME, AWAY, THIRD]) expect(materials(regions, region)).toEqual(['a', 'b']);
    regions.ask(AWAY, bring('c', NEW));
    expect(regions.refused(HOME, bring('c', NEW))).toContain('UnsupportedOperationException');
  });

  test('that has no copy of what waits imports it, or lets it go', () => {
    const regions = given(AWAY);
    regions.ask(HOME, bring('b', NEW));
    regions.settle();
    handOver(regions);
    expect(pending(regions, AWAY)).toBe('b missing');
    expect(regions.refused(AWAY, ROTATE)).toContain('pending multi-Region import and rotation');
    expect(regions.refused(AWAY, bring('c', NEW))).toContain('already has key material that is pending rotation');
    regions.ask(AWAY, remove('b'));
    regions.settle();
    expect([HOME, AWAY].map((region) => pending(regions, region))).toEqual([undefined, undefined]);
    expect(regions.living(HOME).released).toHaveLength(1);
  });

  test('is refused where either is pending import', () => {
    const regions = given(AWAY);
    regions.ask(HOME, remove('a'));
    const refusal = regions.refused(HOME, { type: 'HandOverPrimary', primaryRegion: AWAY });
    expect(refusal).toBe(`KMSInvalidStateException: ${relatedArnIn(HOME)} is pending import.`);
  });

  test('ends in PendingImport where material is over meanwhile, and is not used until then', () => {
    const regions = given(AWAY);
    regions.ask(HOME, bring('a', { validTo: DAY(1) }));
    regions.ask(AWAY, bring('a', { validTo: DAY(1) }));
    regions.ask(HOME, { type: 'HandOverPrimary', primaryRegion: AWAY });
    regions.step();
    regions.now = DAY(1);
    for (const region of [HOME, AWAY]) {
      regions.ask(region, { type: 'FireMaterialExpiry', deadline: DAY(1) });
      expect(regions.living(region).keyState).toBe('Updating');
      expect(cryptographicState(regions.living(region))).toBe('PendingImport');
    }
    regions.settle();
    expect(regions.states(HOME, AWAY)).toEqual(['REPLICA PendingImport', 'PRIMARY PendingImport']);
  });
});

describe('deletion', () => {
  test('of a primary waits for its replicas; each key takes its own copies with it', () => {
    const regions = given(AWAY);
    regions.ask(HOME, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
    regions.ask(HOME, remove('a'));
    expect(regions.states(HOME)).toEqual(['PRIMARY PendingReplicaDeletion']);
    regions.ask(HOME, { type: 'CancelKeyDeletion' });
    expect(regions.states(HOME)).toEqual(['PRIMARY PendingImport']);
    regions.ask(AWAY, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
    regions.now = DAY(7);
    regions.ask(AWAY, { type: 'FireDeletion', deadline: DAY(7) });
    expect(regions.key(AWAY)).toMatchObject({ materialIds: [expect.stringMatching(`^${ID.a}-`)] });
  });

  test('of a replica that is made again leaves it to the next one to have the copies erased', () => {
    const regions = given(AWAY);
    const [{ storedAs } = {}] = regions.living(AWAY).versions;
    regions.ask(AWAY, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
    regions.now = DAY(7);
    regions.ask(AWAY, { type: 'FireDeletion', deadline: DAY(7) });
    regions.settle();
    regions.ask(HOME, replicate(AWAY, 2));
    regions.settle();
    expect(regions.living(AWAY)).toMatchObject({ keyState: 'PendingImport', released: [{ storedAs, since: DAY(7) }] });
    regions.ask(AWAY, { type: 'RecordReleasedErased', storedAs: [storedAs!] });
    expect(regions.living(AWAY).erased).toEqual([storedAs]);
  });
});
