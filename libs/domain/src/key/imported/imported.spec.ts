import fc from 'fast-check';
import { plusDays } from '../../dates';
import { KmsError } from '../../errors';
import type { DecideContext, KeyCommand } from '../commands';
import { decideKey } from '../decide';
import type { KeyEvent } from '../events';
import { evolveKey } from '../evolve';
import { livingKeyAt } from '../living';
import { initialKey, isLiving, type Key, type LivingKey } from '../state';
import { asOf, placesOf, releasedPlaces } from './copies';
import type { KeyMaterialImported } from './events';

const keyArn = 'arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000';
const T0 = '2026-01-01T00:00:00.000Z';
const DAY = (days: number): string => plusDays(T0, days);
const at = (now: string): DecideContext => ({ keyArn, now });

const CREATE: KeyCommand = {
  type: 'CreateKey',
  description: '',
  keyUsage: 'ENCRYPT_DECRYPT',
  keySpec: 'SYMMETRIC_DEFAULT',
  origin: 'EXTERNAL',
  multiRegion: false,
  policy: '{}',
  tags: [],
};
const ID = { a: 'a'.repeat(64), b: 'b'.repeat(64), c: 'c'.repeat(64) };
type Name = keyof typeof ID;

const created = decideKey(CREATE, initialKey, at(T0))[0]!;
const asymmetric = { ...created, keySpec: 'ECC_NIST_P256', keyUsage: 'SIGN_VERIFY' } as KeyEvent;
const importing = (name: Name, more: object = {}): KeyCommand => ({
  type: 'ImportKeyMaterial',
  materialId: ID[name],
  storedAs: `${ID[name]}-1`,
  ...more,
});
const imported = (name: Name, more: Partial<KeyMaterialImported> = {}): KeyMaterialImported => ({
  type: 'KeyMaterialImported',
  v: 1,
  importType: 'NEW_KEY_MATERIAL',
  materialId: ID[name],
  storedAs: `${ID[name]}-1`,
  ...more,
});
const again = (name: Name, more: Partial<KeyMaterialImported> = {}) =>
  imported(name, { importType: 'EXISTING_KEY_MATERIAL', storedAs: `${ID[name]}-2`, ...more });
const deleted = (name: Name): KeyEvent => ({ type: 'ImportedKeyMaterialDeleted', v: 1, materialId: ID[name] });
const expired = (name: Name): KeyEvent => ({ type: 'KeyMaterialExpired', v: 1, materialId: ID[name] });
const rotated: KeyEvent = {
  type: 'KeyRotated',
  v: 1,
  rotationType: 'ON_DEMAND',
  rotationDate: T0,
  keyVersion: 2,
  materialId: ID.b,
};
const scheduled: KeyEvent = { type: 'KeyDeletionScheduled', v: 1, pendingWindowInDays: 7, deletionDate: DAY(7) };
const cancelled: KeyEvent = { type: 'KeyDeletionCancelled', v: 1 };
const disabled: KeyEvent = { type: 'KeyDisabled', v: 1 };

const fold = (...events: KeyEvent[]): LivingKey => {
  const key = events.reduce<Key>((state, event) => evolveKey(state, event, T0), initialKey);
  if (!isLiving(key)) throw new Error('not living');
  return key;
};
const given = (...events: KeyEvent[]) => ({
  when: (command: KeyCommand, now = T0) => ({
    thenEvents: (...expected: KeyEvent[]) => expect(decideKey(command, fold(...events), at(now))).toEqual(expected),
    refused: (code: string, message?: string | RegExp) => {
      expect(() => decideKey(command, fold(...events), at(now))).toThrow(
        expect.objectContaining({
          code,
          ...(message === undefined ? {} : { message: expect.stringMatching(message) }),
        }),
      );
    },
  }),
});

describe('a key of origin EXTERNAL', () => {
  test('is made without material, pending import', () => {
    expect(created).not.toHaveProperty('materialId');
    expect(fold(created)).toMatchObject({ keyState: 'PendingImport', versions: [] });
  });

  test('is enabled by its first material, which is new without being called so', () => {
    given(created)
      .when(importing('a', { validTo: DAY(1), description: 'in the safe' }))
      .thenEvents(imported('a', { validTo: DAY(1), description: 'in the safe' }));
    expect(fold(created, imported('a', { validTo: DAY(1), description: 'in the safe' }))).toMatchObject({
      keyState: 'Enabled',
      versions: [
        {
          ...{ version: 1, materialId: ID.a, storedAs: `${ID.a}-1`, since: T0, cause: 'CREATED' },
          imported: { importState: 'IMPORTED', validTo: DAY(1), description: 'in the safe' },
        },
      ],
    });
  });

  test('cannot have first what it is to have had', () => {
    given(created)
      .when(importing('a', { importType: 'EXISTING_KEY_MATERIAL' }))
      .refused('IncorrectKeyMaterialException', /not associated/);
  });

  test('of a key pair learns its public key by the import', () => {
    const withPublicKey = importing('a', { publicKey: 'MAA=' });
    given(asymmetric)
      .when(withPublicKey)
      .thenEvents(imported('a', { publicKey: 'MAA=' }));
    expect(fold(asymmetric, imported('a', { publicKey: 'MAA=' }))).toMatchObject({ publicKey: 'MAA=' });
  });

  test.each(['EnableKeyRotation', 'DisableKeyRotation'] as const)('has no automatic rotation: %s', (type) => {
    const command = { type, rotationPeriodInDays: 90 } as KeyCommand;
    given(created, imported('a')).when(command).refused('UnsupportedOperationException', 'origin is EXTERNAL');
    given(created).when(command).refused('UnsupportedOperationException');
  });

  test.each<KeyCommand>([importing('a'), { type: 'DeleteImportedKeyMaterial' }])(
    'alone takes imports: $type is refused for one of origin AWS_KMS',
    (command) => {
      const own = decideKey({ ...CREATE, origin: undefined }, initialKey, at(T0))[0]!;
      given(own).when(command).refused('UnsupportedOperationException', 'origin is AWS_KMS which is not valid');
    },
  );
});

describe('importing again', () => {
  test('takes the same material, by no, the right or its own id, and releases the copy before', () => {
    const keyState = given(created, imported('a', { validTo: DAY(1), description: 'old' }));
    for (const more of [{}, { keyMaterialId: ID.a }, { importType: 'EXISTING_KEY_MATERIAL' }]) {
      keyState.when(importing('a', { storedAs: `${ID.a}-2`, ...more })).thenEvents(again('a'));
    }
    expect(fold(created, imported('a', { validTo: DAY(1), description: 'old' }), again('a'))).toMatchObject({
      keyState: 'Enabled',
      versions: [{ storedAs: `${ID.a}-2`, imported: { importState: 'IMPORTED', description: 'old' } }],
      released: [{ storedAs: `${ID.a}-1`, since: T0 }],
    });
  });

  test('refuses other material, and an id that is not that of the material', () => {
    const once = given(created, imported('a'));
    once.when(importing('b')).refused('IncorrectKeyMaterialException', /not associated/);
    once.when(importing('a', { keyMaterialId: ID.b })).refused('IncorrectKeyMaterialException', /not the one/);
    given(created, imported('a'), deleted('a')).when(importing('b')).refused('IncorrectKeyMaterialException');
  });

  test('into a disabled key leaves it disabled; into one that lost its material while disabled enables it', () => {
    expect(fold(created, imported('a'), disabled, again('a')).keyState).toBe('Disabled');
    expect(fold(created, imported('a'), disabled, expired('a')).keyState).toBe('PendingImport');
    expect(fold(created, imported('a'), disabled, expired('a'), again('a')).keyState).toBe('Enabled');
  });
});

describe('a second material', () => {
  const both = [created, imported('a'), imported('b')];
  const IS_NEW = { importType: 'NEW_KEY_MATERIAL' };

  test('must be said to be new, be new, and waits for a rotation', () => {
    given(created, imported('a')).when(importing('b', IS_NEW)).thenEvents(imported('b'));
    given(created, imported('a'))
      .when(importing('a', IS_NEW))
      .refused('IncorrectKeyMaterialException', /already/);
    given(created, imported('a'))
      .when(importing('b', { ...IS_NEW, keyMaterialId: ID.b }))
      .refused('ValidationException', /KeyMaterialId/);
    expect(fold(...both)).toMatchObject({
      versions: [{ materialId: ID.a }],
      pendingRotation: { materialId: ID.b, storedAs: `${ID.b}-1` },
    });
  });

  test('is alone in waiting, until it is rotated to or deleted', () => {
    given(...both)
      .when(importing('c', IS_NEW))
      .refused('KMSInvalidStateException', /pending rotation/);
    given(...both, deleted('b'))
      .when(importing('c', IS_NEW))
      .thenEvents(imported('c'));
    given(...both, rotated)
      .when(importing('c', IS_NEW))
      .thenEvents(imported('c'));
    given(...both)
      .when(importing('b', { storedAs: `${ID.b}-2` }))
      .thenEvents(again('b'));
  });

  test('is what RotateKeyOnDemand rotates to; without one there is nothing to rotate to', () => {
    given(...both)
      .when({ type: 'RotateKeyOnDemand' })
      .thenEvents(rotated);
    given(created, imported('a'))
      .when({ type: 'RotateKeyOnDemand' })
      .refused('KMSInvalidStateException', /^No available key material pending rotation/);
    given(...both, deleted('a'))
      .when({ type: 'RotateKeyOnDemand' })
      .refused('KMSInvalidStateException');
    const key = fold(...both, rotated);
    expect(key.versions).toMatchObject([{ materialId: ID.a }, { version: 2, materialId: ID.b, storedAs: `${ID.b}-1` }]);
    expect(key.pendingRotation).toBeUndefined();
  });

  test('is gone without a trace when it is deleted or expires before its rotation', () => {
    for (const gone of [deleted('b'), expired('b')]) {
      expect(fold(...both, gone)).toMatchObject({ keyState: 'Enabled', released: [{ storedAs: `${ID.b}-1` }] });
      expect(fold(...both, gone).pendingRotation).toBeUndefined();
    }
  });

  test('counts as much as the first once it was current: either missing, the key is pending import', () => {
    for (const gone of ['a', 'b'] as const) {
      expect(fold(...both, rotated, deleted(gone)).keyState).toBe('PendingImport');
      expect(fold(...both, rotated, deleted(gone), again(gone)).keyState).toBe('Enabled');
    }
    expect(fold(...both, rotated, deleted('a'), deleted('b'), again('b')).keyState).toBe('PendingImport');
  });

  test.each([{ importType: 'NEW_KEY_MATERIAL' }, { keyMaterialId: ID.a }, { description: 'x' }])(
    'is not for keys that are not symmetric: %j is refused',
    (more) => {
      given(asymmetric).when(importing('a', more)).refused('UnsupportedOperationException');
    },
  );
});

describe('deleting imported material', () => {
  test('is of the current one unless another is named, and takes it from the key at once', () => {
    const both = [created, imported('a'), imported('b'), rotated];
    given(...both)
      .when({ type: 'DeleteImportedKeyMaterial' })
      .thenEvents(deleted('b'));
    given(...both)
      .when({ type: 'DeleteImportedKeyMaterial', keyMaterialId: ID.a })
      .thenEvents(deleted('a'));
    expect(fold(created, imported('a', { validTo: DAY(1), description: 'x' }), deleted('a'))).toMatchObject({
      keyState: 'PendingImport',
      versions: [{ materialId: ID.a, imported: { importState: 'PENDING_IMPORT', description: 'x' } }],
      released: [{ storedAs: `${ID.a}-1` }],
    });
  });

  test('changes nothing where there is none', () => {
    given(created).when({ type: 'DeleteImportedKeyMaterial' }).thenEvents();
    given(created, imported('a'), deleted('a')).when({ type: 'DeleteImportedKeyMaterial' }).thenEvents();
  });

  test('refuses an id that the key knows nothing of', () => {
    given(created, imported('a'))
      .when({ type: 'DeleteImportedKeyMaterial', keyMaterialId: ID.c })
      .refused('NotFoundException', ID.c);
  });

  test('leaves a key pending deletion so; the deletion cancelled, it is pending import', () => {
    given(created, imported('a'), scheduled).when({ type: 'DeleteImportedKeyMaterial' }).thenEvents(deleted('a'));
    expect(fold(created, imported('a'), scheduled, deleted('a')).keyState).toBe('PendingDeletion');
    expect(fold(created, imported('a'), scheduled, deleted('a'), cancelled).keyState).toBe('PendingImport');
    expect(fold(created, imported('a'), scheduled, cancelled).keyState).toBe('Disabled');
    expect(fold(created, scheduled, cancelled).keyState).toBe('PendingImport');
  });
});

describe('expiry', () => {
  const dated = [created, imported('a', { validTo: DAY(1) })];

  test('fires at its date, once, and not before', () => {
    const fire: KeyCommand = { type: 'FireMaterialExpiry', deadline: DAY(1) };
    given(...dated)
      .when(fire, DAY(1))
      .thenEvents(expired('a'));
    given(...dated)
      .when(fire, DAY(400))
      .thenEvents(expired('a'));
    given(...dated)
      .when(fire, T0)
      .thenEvents();
    given(...dated, expired('a'))
      .when(fire, DAY(1))
      .thenEvents();
    given(...dated, again('a'))
      .when(fire, DAY(1))
      .thenEvents();
    given(...dated, again('a', { validTo: DAY(2) }))
      .when(fire, DAY(2))
      .thenEvents();
  });

  test('fires for all materials of one date together, whatever the state of the key', () => {
    const b = imported('b', { validTo: DAY(1) });
    given(...dated, b, scheduled)
      .when({ type: 'FireMaterialExpiry', deadline: DAY(1) }, DAY(1))
      .thenEvents(expired('a'), expired('b'));
  });

  test('counts from its date on, fired or not', () => {
    const key = fold(...dated);
    expect(livingKeyAt(key, T0)).toBe(key);
    expect(livingKeyAt(key, DAY(1))).toMatchObject({ keyState: 'PendingImport' });
    given(...dated)
      .when({ type: 'DisableKey' }, DAY(1))
      .refused('KMSInvalidStateException', 'is pending import');
    given(...dated)
      .when({ type: 'DisableKey' }, T0)
      .thenEvents(disabled);
  });

  test('of what waited goes first into the log where other material comes before the timer fired', () => {
    const waiting = [created, imported('a'), imported('b', { validTo: DAY(1) })];
    given(...waiting)
      .when(importing('c', { importType: 'NEW_KEY_MATERIAL' }), DAY(2))
      .thenEvents(expired('b'), imported('c'));
  });
});

test('whatever is asked in whatever order, nothing fails but with a KmsError, states fit the material, and it replays', () => {
  const names = fc.constantFrom<Name>('a', 'b', 'c');
  let copies = 0;
  const command = fc.oneof(
    fc
      .record({
        name: names,
        importType: fc.constantFrom(undefined, 'NEW_KEY_MATERIAL', 'EXISTING_KEY_MATERIAL'),
        days: fc.option(fc.integer({ min: 1, max: 30 })),
      })
      .map(({ name, importType, days }) => (now: string): KeyCommand => {
        copies++;
        const storedAs = `${ID[name]}-${copies}`;
        return importing(name, { storedAs, importType, ...(days === null ? {} : { validTo: plusDays(now, days) }) });
      }),
    fc.option(names).map(
      (name) => (): KeyCommand => ({
        type: 'DeleteImportedKeyMaterial',
        keyMaterialId: name === null ? undefined : ID[name],
      }),
    ),
    fc.constantFrom<() => KeyCommand>(
      () => ({ type: 'RotateKeyOnDemand' }),
      () => ({ type: 'DisableKey' }),
      () => ({ type: 'EnableKey' }),
      () => ({ type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 }),
      () => ({ type: 'CancelKeyDeletion' }),
    ),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(command, fc.integer({ min: 0, max: 9 })), { maxLength: 40 }), (steps) => {
      let key: Key = evolveKey(initialKey, created, T0);
      let now = T0;
      const log: [KeyEvent, string][] = [[created, T0]];
      const run = (asked: KeyCommand): void => {
        try {
          for (const event of decideKey(asked, key, at(now))) {
            key = evolveKey(key, event, now);
            log.push([event, now]);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(KmsError);
        }
      };
      for (const [ask, days] of steps) {
        now = plusDays(now, days);
        run(ask(now));
        expectWhole(key, now);
      }
      const replayed = log.reduce<Key>((state, [event, time]) => evolveKey(state, event, time), initialKey);
      expect(replayed).toEqual(key);
    }),
  );
});

/** The key can be used where, and only where, it has all the material that it was ever used with. */
function expectWhole(key: Key, now: string): void {
  if (!isLiving(key)) throw new Error('not living');
  for (const state of [key, asOf(key, now)]) {
    const whole = state.versions.length > 0 && state.versions.every(({ storedAs }) => storedAs !== undefined);
    if (state.keyState !== 'PendingDeletion') expect(state.keyState === 'PendingImport').toBe(!whole);
    const places = placesOf(state);
    expect(new Set([...places, ...releasedPlaces(state)]).size).toBe(places.length + releasedPlaces(state).length);
  }
}
