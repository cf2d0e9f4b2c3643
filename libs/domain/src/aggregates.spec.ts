import { AGGREGATE_TYPES, AGGREGATES, isAggregateType, isRevoking } from './aggregates';

describe('the table of aggregates', () => {
  test('has each event in one aggregate only', () => {
    const types = AGGREGATE_TYPES.flatMap((type) => Object.keys(AGGREGATES[type].revokes));
    expect(new Set(types).size).toBe(types.length);
    for (const type of AGGREGATE_TYPES) {
      const { isEvent, revokes } = AGGREGATES[type];
      expect(types.filter(isEvent)).toEqual(Object.keys(revokes));
    }
  });

  test('says of each event whether it takes something away', () => {
    const revoking = AGGREGATE_TYPES.flatMap((type) =>
      Object.entries(AGGREGATES[type].revokes).flatMap(([event, revokes]) => (revokes ? [event] : [])),
    );
    expect(revoking.sort()).toEqual([
      'AccessKeyDeleted',
      'AccessKeyStatusChanged',
      'AliasCreated',
      'AliasDeleted',
      'AliasUpdated',
      'CustomKeyStoreDisconnectionBegun',
      'CustomKeyStoreUpdated',
      'GrantRetired',
      'GrantRevoked',
      'ImportedKeyMaterialDeleted',
      'KeyDeleted',
      'KeyDeletionDeferred',
      'KeyDeletionScheduled',
      'KeyDisabled',
      'KeyMadePrimary',
      'KeyMaterialExpired',
      'KeyPolicyPut',
      'KeyPrimaryHandedOver',
      'KeyTagged',
      'KeyUntagged',
      'PolicyDeleted',
      'PolicyPut',
      'PrincipalTagged',
      'PrincipalUntagged',
      'RoleDeleted',
      'RootEpochRetired',
      'RootRotationBegun',
      'TrustPolicyPut',
      'UserDeleted',
    ]);
    expect(isRevoking('grant', { type: 'GrantRevoked', v: 1 })).toBe(true);
    expect(isRevoking('key', { type: 'KeyEnabled', v: 1 })).toBe(false);
  });

  test('knows no aggregate by the name of a member of every object', () => {
    expect(['key', 'toString', 'constructor', '', undefined].filter(isAggregateType)).toEqual(['key']);
  });
});
