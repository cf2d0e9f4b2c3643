import type {
  GrantListEntry,
  ListGrantsRequest,
  ListGrantsResponse,
  ListRetirableGrantsRequest,
} from '@aws-sdk/client-kms';
import { keyArn, rootArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { FoldedGrant } from '#views/indexes/grants';
import type { Projection } from '#views/projection';
import { authorizeAccount, authorizeKey } from '../authorization';
import { existingKey, type FoundKey, findKey } from '../key-lookup';
import { type Call, control } from '../operation';
import { entriesOf, type PageAsked, pageAsked, pageFields, positionOf, takePage } from '../pagination';
import { GRANT_ID, KEY_ID, LIMIT, MARKER, Optional, PRINCIPAL_ID, Required } from '../wire/fields';
import { epochSeconds, type Wire } from '../wire/wire';
import { assertGrantId } from './grant-lookup';
import { accountOf, grantPrincipal, principalArn, shownGrantee, shownRetiring } from './grant-principals';

const PAGE_SIZES = { byDefault: 50, atMost: 100 };

class ListGrants implements ListGrantsRequest {
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
  @Required(KEY_ID) KeyId!: string;
  @Optional(GRANT_ID) GrantId?: string;
  @Optional(PRINCIPAL_ID) GranteePrincipal?: string;
}

export const listGrants = control<ListGrants, Wire<ListGrantsResponse>>({
  name: 'ListGrants',
  request: ListGrants,
  run(request, call, { projection }) {
    const found = findKey(request.KeyId, 'key', call, projection);
    authorizeKey(call, projection, found);
    if (request.GrantId !== undefined) assertGrantId(request.GrantId);
    const asked = pageAsked(request, call, PAGE_SIZES, found.arn, request.GrantId, request.GranteePrincipal);
    return listed(selected(request, asked, found, projection), asked, projection);
  },
});

function* selected(
  request: ListGrants,
  asked: PageAsked,
  { ref }: FoundKey,
  projection: Projection,
): Iterable<FoldedGrant> {
  const grantee = request.GranteePrincipal === undefined ? undefined : principalArn(request.GranteePrincipal);
  for (const grant of projection.grantsOf(ref, positionOf(asked))) {
    if (request.GrantId !== undefined && grant.ref.id !== request.GrantId) continue;
    if (grantee !== undefined && shownGrantee(grant.state, projection) !== grantee) continue;
    yield grant;
  }
}

class ListRetirableGrants implements ListRetirableGrantsRequest {
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
  @Required(PRINCIPAL_ID) RetiringPrincipal!: string;
}

export const listRetirableGrants = control<ListRetirableGrants, Wire<ListGrantsResponse>>({
  name: 'ListRetirableGrants',
  request: ListRetirableGrants,
  run(request, call, { projection }) {
    authorizeAccount(call);
    const retiring = grantPrincipal(request.RetiringPrincipal, call, projection);
    if (accountOf(retiring.arn) !== call.caller.account) {
      throw new KmsError('InvalidArnException', 'The retiring principal must be one of your own account.');
    }
    const asked = pageAsked(request, call, PAGE_SIZES, retiring.arn);
    return listed(retirable(retiring.arn, asked, call, projection), asked, projection);
  },
});

function* retirable(retiring: string, asked: PageAsked, call: Call, projection: Projection): Iterable<FoldedGrant> {
  for (const grant of projection.retirableGrants(call.caller.region, retiring, positionOf(asked))) {
    const { region, account } = grant.ref;
    if (shownRetiring(grant.state, projection) !== retiring) continue;
    if (existingKey(region, account, grant.state.keyId, call, projection)) yield grant;
  }
}

function listed(grants: Iterable<FoldedGrant>, asked: PageAsked, projection: Projection): Wire<ListGrantsResponse> {
  const entries = entriesOf(grants, (grant) => grantListEntry(grant, projection));
  const page = takePage(entries, asked, ({ GrantId }) => GrantId!);
  return { Grants: page.items, ...pageFields(page) };
}

function grantListEntry({ ref, state }: FoldedGrant, projection: Projection): Wire<GrantListEntry> {
  const { constraints } = state;
  const retiring = shownRetiring(state, projection);
  return {
    KeyId: keyArn(ref.region, ref.account, state.keyId),
    GrantId: ref.id,
    Name: state.name ?? '',
    CreationDate: epochSeconds(state.createdAt),
    GranteePrincipal: shownGrantee(state, projection),
    ...(retiring !== undefined && { RetiringPrincipal: retiring }),
    IssuingAccount: rootArn(accountOf(state.issuedBy)),
    Operations: [...state.operations],
    ...(constraints && {
      Constraints: {
        ...(constraints.encryptionContextEquals && { EncryptionContextEquals: constraints.encryptionContextEquals }),
        ...(constraints.encryptionContextSubset && { EncryptionContextSubset: constraints.encryptionContextSubset }),
      },
    }),
  };
}
