import fc from 'fast-check';
import { plusDays } from '../dates';
import { KmsError } from '../errors';
import type { DecideContext, KeyCommand } from './commands';
import { decideKey } from './decide';
import type { KeyEvent } from './events';
import { evolveKey } from './evolve';
import { materialIdOf } from './material-id';
import { initialKey, type Key } from './state';

const keyArn = 'arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000';
const T0 = '2026-01-01T00:00:00.000Z';
const CREATE: KeyCommand = {
  type: 'CreateKey',
  description: '',
  keyUsage: 'ENCRYPT_DECRYPT',
  keySpec: 'SYMMETRIC_DEFAULT',
  multiRegion: false,
  policy: '{}',
  tags: [],
};

const fold = (events: readonly KeyEvent[], from: Key = initialKey, time = T0): Key =>
  events.reduce((key, event) => evolveKey(key, event, time), from);
const at = (now: string): DecideContext => ({ keyArn, now });
const given = (...events: KeyEvent[]) => ({
  when: (command: KeyCommand, now = T0) => {
    const key = fold(events);
    return {
      thenEvents: (expected: KeyEvent[]) => expect(decideKey(command, key, at(now))).toEqual(expected),
      refused: (code: string, message?: string) => {
        try {
          decideKey(command, key, at(now));
        } catch (error) {
          expect(error).toBeInstanceOf(KmsError);
          expect((error as KmsError).code).toBe(code);
          if (message !== undefined) expect((error as KmsError).message).toBe(message);
          return;
        }
        throw new Error(`${command.type} was not refused`);
      },
    };
  },
});

const created = decideKey(CREATE, initialKey, at(T0))[0]!;
const scheduled: KeyEvent = {
  type: 'KeyDeletionScheduled',
  v: 1,
  pendingWindowInDays: 7,
  deletionDate: plusDays(T0, 7),
};
const rotating: KeyEvent = {
  type: 'KeyRotationEnabled',
  v: 1,
  rotationPeriodInDays: 90,
  nextRotationDate: plusDays(T0, 90),
};

describe('an asymmetric key', () => {
  const pair: KeyEvent = { ...created, keyUsage: 'SIGN_VERIFY', keySpec: 'RSA_2048', publicKey: 'MAA=' } as KeyEvent;

  test('keeps the public key that its creation told', () => {
    expect(fold([pair])).toMatchObject({ keyState: 'Enabled', keySpec: 'RSA_2048', publicKey: 'MAA=' });
  });

  const ROTATE: KeyCommand[] = [{ type: 'EnableKeyRotation', rotationPeriodInDays: 90 }, { type: 'RotateKeyOnDemand' }];

  test.each(ROTATE)('has no rotation, which AWS says without a message: $type', (command) => {
    given(pair).when(command).refused('UnsupportedOperationException', '');
  });

  test('may be told not to rotate', () => {
    given(pair).when({ type: 'DisableKeyRotation' }).thenEvents([]);
  });

  test.each([...ROTATE, { type: 'DisableKeyRotation' } as const])(
    'is told of its state before that it has no rotation: $type',
    (command) => {
      given(pair, { type: 'KeyDisabled', v: 1 }).when(command).refused('DisabledException');
      given(pair, scheduled).when(command).refused('KMSInvalidStateException');
    },
  );
});

describe('a key’s policy', () => {
  const policy = '{"a":1}';
  const meant = { ann: 'AIDA1', job: 'AROA1' };
  const put = (namedIds?: Record<string, string>): KeyCommand => ({ type: 'PutKeyPolicy', policy, namedIds });
  const wasPut = (namedIds?: Record<string, string>): KeyEvent => ({
    ...{ type: 'KeyPolicyPut', v: 1, policy },
    ...(namedIds && { namedIds }),
  });

  test('is put once more when its text means others', () => {
    given(created)
      .when(put(meant))
      .thenEvents([wasPut(meant)]);
    const now = given(created, wasPut(meant));
    now.when(put({ job: 'AROA1', ann: 'AIDA1' })).thenEvents([]);
    now.when(put({ ...meant, ann: 'AIDA2' })).thenEvents([wasPut({ ...meant, ann: 'AIDA2' })]);
    now.when(put({ ann: 'AIDA1' })).thenEvents([wasPut({ ann: 'AIDA1' })]);
    now.when(put({})).thenEvents([wasPut()]);
    // As of before ids were kept.
    given(created, wasPut()).when(put()).thenEvents([]);
    given(created, wasPut()).when(put({})).thenEvents([]);
    given(created, wasPut())
      .when(put(meant))
      .thenEvents([wasPut(meant)]);
  });

  test('takes with it whom the one before meant', () => {
    const made = decideKey({ ...CREATE, namedIds: meant }, initialKey, at(T0));
    expect(fold(made)).toEqual({ ...fold([created]), namedIds: meant });
    expect(fold([...made, wasPut()])).toEqual({ ...fold([created]), policy });
    expect(decideKey({ ...CREATE, namedIds: {} }, initialKey, at(T0))).toEqual([created]);
  });
});

describe('a key', () => {
  test('is created once', () => {
    expect(created).toMatchObject({ type: 'KeyCreated', materialId: materialIdOf(keyArn, 1) });
    given(created).when(CREATE).refused('AlreadyExistsException');
  });

  test('is left as it is by a command that changes nothing', () => {
    given(created).when({ type: 'EnableKey' }).thenEvents([]);
    given(created).when({ type: 'DisableKeyRotation' }).thenEvents([]);
    given(created)
      .when({ type: 'UntagResource', tagKeys: ['none'] })
      .thenEvents([]);
  });

  test('is untagged by one event that names each tag once, however often the command does', () => {
    const tagged: KeyEvent = { type: 'KeyTagged', v: 1, tags: [{ key: 'a', value: '1' }] };
    given(created, tagged)
      .when({ type: 'UntagResource', tagKeys: ['a', 'none', 'a', 'a'] })
      .thenEvents([{ type: 'KeyUntagged', v: 1, tagKeys: ['a'] }]);
  });

  test('is deleted at its deadline, not before, and only by the timer that is its own', () => {
    const deadline = plusDays(T0, 7);
    const fire: KeyCommand = { type: 'FireDeletion', deadline };
    given(created, scheduled).when(fire, plusDays(T0, 6)).thenEvents([]);
    given(created, scheduled)
      .when(fire, deadline)
      .thenEvents([{ type: 'KeyDeleted', v: 1 }]);
    given(created, scheduled)
      .when({ type: 'FireDeletion', deadline: plusDays(T0, 8) }, plusDays(T0, 9))
      .thenEvents([]);
    given(created, scheduled, { type: 'KeyDeletionCancelled', v: 1 }).when(fire, deadline).thenEvents([]);
  });

  test('is gone for callers once its waiting period is over, whether the timer has fired or not', () => {
    given(created, scheduled).when({ type: 'CancelKeyDeletion' }, plusDays(T0, 7)).refused('NotFoundException');
    given(created, scheduled, { type: 'KeyDeleted', v: 1 }).when({ type: 'EnableKey' }).refused('NotFoundException');
  });

  test('is disabled after its deletion was cancelled', () => {
    expect(fold([created, scheduled, { type: 'KeyDeletionCancelled', v: 1 }]).keyState).toBe('Disabled');
  });

  test('rotates at its deadline, dated by it however late, and moves the next one by the period', () => {
    const deadline = plusDays(T0, 90);
    given(created, rotating)
      .when({ type: 'FireRotation', deadline }, plusDays(T0, 400))
      .thenEvents([
        {
          type: 'KeyRotated',
          v: 1,
          rotationType: 'AUTOMATIC',
          rotationDate: deadline,
          nextRotationDate: plusDays(T0, 180),
          keyVersion: 2,
          materialId: materialIdOf(keyArn, 2),
        },
      ]);
    given(created, rotating).when({ type: 'FireRotation', deadline }, plusDays(T0, 89)).thenEvents([]);
    given(created, rotating, { type: 'KeyDisabled', v: 1 })
      .when({ type: 'FireRotation', deadline }, deadline)
      .thenEvents([]);
  });

  test('makes up for a rotation missed while disabled once, at once', () => {
    const now = plusDays(T0, 500);
    given(created, rotating, { type: 'KeyDisabled', v: 1 })
      .when({ type: 'EnableKey' }, now)
      .thenEvents([{ type: 'KeyEnabled', v: 1, nextRotationDate: now }]);
  });

  test('is rotated on demand 25 times at most, without moving the automatic schedule', () => {
    let key = fold([created, rotating]);
    for (let times = 0; times < 25; times++) key = fold(decideKey({ type: 'RotateKeyOnDemand' }, key, at(T0)), key);
    expect(key).toMatchObject({ rotation: { nextRotationDate: plusDays(T0, 90) } });
    expect(() => decideKey({ type: 'RotateKeyOnDemand' }, key, at(T0))).toThrow(
      `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${keyArn}`,
    );
  });

  test('keeps its rotation period and schedule when rotation is enabled again without a period', () => {
    const enable: KeyCommand = { type: 'EnableKeyRotation', rotationPeriodInDays: undefined };
    const yearly = { rotationPeriodInDays: 365, nextRotationDate: plusDays(T0, 366) };
    given(created, rotating).when(enable, plusDays(T0, 1)).thenEvents([]);
    given(created, rotating, { type: 'KeyRotationDisabled', v: 1 })
      .when(enable, plusDays(T0, 1))
      .thenEvents([{ type: 'KeyRotationEnabled', v: 1, ...yearly }]);
  });

  test('has 50 tags at most', () => {
    const tags = Array.from({ length: 50 }, (_, index) => ({ key: `k${index}`, value: '' }));
    const full: KeyEvent = { type: 'KeyTagged', v: 1, tags };
    given(created, full)
      .when({ type: 'TagResource', tags: [{ key: 'k0', value: 'new' }] })
      .thenEvents([{ type: 'KeyTagged', v: 1, tags: [{ key: 'k0', value: 'new' }] }]);
    given(created, full)
      .when({ type: 'TagResource', tags: [{ key: 'more', value: '' }] })
      .refused('LimitExceededException');
  });

  test('stops at an event it does not know', () => {
    expect(() => evolveKey(fold([created]), { type: 'KeyForgotten' } as unknown as KeyEvent, T0)).toThrow(
      /KeyForgotten/,
    );
  });

  test('never fails but with a KmsError, and replays to the same state, whatever is asked of it', () => {
    const command = fc.oneof(
      fc.constantFrom<KeyCommand>(
        CREATE,
        { type: 'EnableKey' },
        { type: 'DisableKey' },
        { type: 'EnableKeyRotation', rotationPeriodInDays: 90 },
        { type: 'DisableKeyRotation' },
        { type: 'RotateKeyOnDemand' },
        { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 },
        { type: 'CancelKeyDeletion' },
        { type: 'TagResource', tags: [{ key: 'a', value: 'b' }] },
        { type: 'UntagResource', tagKeys: ['a'] },
        { type: 'PutKeyPolicy', policy: '{"a":1}' },
        { type: 'PutKeyPolicy', policy: '{"a":1}', namedIds: { a: 'AIDA1' } },
        { type: 'RecordMaterialDestroyed' },
      ),
      fc.constant('fire' as const),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(command, fc.integer({ min: 0, max: 100 })), { maxLength: 40 }), (steps) => {
        let key: Key = initialKey;
        let now = T0;
        const log: [KeyEvent, string][] = [];
        for (const [step, days] of steps) {
          now = plusDays(now, days);
          try {
            for (const event of decideKey(step === 'fire' ? dueOf(key, now) : step, key, at(now))) {
              key = evolveKey(key, event, now);
              log.push([event, now]);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(KmsError);
          }
        }
        const replayed = log.reduce((state, [event, time]) => evolveKey(state, event, time), initialKey);
        expect(replayed).toEqual(key);
      }),
    );
  });
});

/** The timer of the key's state, or one of nobody's. */
function dueOf(key: Key, now: string): KeyCommand {
  if (key.keyState === 'PendingDeletion') return { type: 'FireDeletion', deadline: key.deletionDate };
  if (key.keyState === 'Enabled' && key.rotation)
    return { type: 'FireRotation', deadline: key.rotation.nextRotationDate };
  return { type: 'FireRotation', deadline: now };
}
