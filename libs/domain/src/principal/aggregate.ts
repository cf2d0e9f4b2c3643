import type { Aggregate } from '../aggregate';
import type { PrincipalCommand } from './commands';
import { decidePrincipal } from './decide';
import type { PrincipalEvent } from './events';
import { evolvePrincipal, isPrincipalEvent } from './evolve';
import { initialPrincipal, type Principal } from './state';

export const principalAggregate: Aggregate<Principal, PrincipalEvent, PrincipalCommand> = {
  initial: initialPrincipal,
  isEvent: isPrincipalEvent,
  evolve: evolvePrincipal,
  decide: decidePrincipal,
  revokes: {
    AccountCreated: false,
    UserCreated: false,
    UserDeleted: true,
    RoleCreated: false,
    RoleDeleted: true,
    // The new text may allow less, or deny.
    PolicyPut: true,
    PolicyDeleted: true,
    TrustPolicyPut: true,
    // Conditions on aws:PrincipalTag may decide.
    PrincipalTagged: true,
    PrincipalUntagged: true,
    AccessKeyCreated: false,
    AccessKeyStatusChanged: true,
    AccessKeyDeleted: true,
  },
};
