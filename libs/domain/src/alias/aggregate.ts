import type { Aggregate } from '../aggregate';
import { aliasArn } from '../arn';
import { type Alias, type AliasCommand, decideAlias, evolveAlias, initialAlias, isAliasEvent } from './alias';
import type { AliasEvent } from './events';

export const aliasAggregate: Aggregate<Alias, AliasEvent, AliasCommand> = {
  initial: initialAlias,
  isEvent: isAliasEvent,
  evolve: evolveAlias,
  decide: (command, alias, { region, account, id }) =>
    decideAlias(command, alias, aliasArn(region, account, `alias/${id}`)),
  // Conditions on kms:ResourceAliases may decide, in an Allow or in a Deny.
  revokes: { AliasCreated: true, AliasUpdated: true, AliasDeleted: true },
};
