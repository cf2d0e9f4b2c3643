import type { OpenPart, SealedPart } from '#audit-log/record';

/** Calls of one caller, with one operation, on one key, for which one reason holds. */
export interface CallGroup {
  /** ARN; of a session that of its role. */
  caller: string;
  operation: string;
  /** ARNs of the keys and aliases. */
  resources: string[];
  why: string;
  calls: number;
  firstSeen: string;
  lastSeen: string;
  /** Event id of the newest of them. */
  example: string;
  /** The encryption contexts, the first hundred of them; empty where none of the calls had one. */
  contexts: { encryptionContext: unknown; calls: number }[];
}

const MOST_CONTEXTS = 100;

export class CallGroups {
  private readonly groups = new Map<string, CallGroup & { byContext: Map<string, { calls: number }> }>();
  calls = 0;

  add(record: OpenPart & Partial<SealedPart>, why: string): void {
    this.calls++;
    const caller = callerOf(record);
    const resources = (record.resources ?? []).map(({ ARN }) => ARN);
    const name = JSON.stringify([caller, record.eventName, resources, why]);
    let group = this.groups.get(name);
    const { eventTime } = record;
    if (!group) {
      const times = { firstSeen: eventTime, lastSeen: eventTime };
      const head = { caller, operation: record.eventName, resources, why };
      group = { ...head, calls: 0, ...times, example: record.eventID, contexts: [], byContext: new Map() };
      this.groups.set(name, group);
    }
    group.calls++;
    if (eventTime < group.firstSeen) group.firstSeen = eventTime;
    if (eventTime >= group.lastSeen) {
      group.lastSeen = eventTime;
      group.example = record.eventID;
    }
    addContext(group, record.requestParameters);
  }

  /** Those with the most calls first. */
  list(): CallGroup[] {
    return [...this.groups.values()]
      .sort((a, b) => b.calls - a.calls)
      .map(({ byContext: _byContext, ...group }) => group);
  }
}

const callerOf = ({ userIdentity: { arn, sessionContext, principalId, accountId } }: OpenPart): string =>
  sessionContext?.sessionIssuer?.arn ?? arn ?? `${accountId ?? 'unknown'} ${principalId ?? ''}`.trim();

const CONTEXT_MEMBERS = ['encryptionContext', 'sourceEncryptionContext', 'destinationEncryptionContext'] as const;

function addContext(
  group: CallGroup & { byContext: Map<string, { calls: number }> },
  parameters: object | null | undefined,
): void {
  const given = parameters as Record<string, unknown> | null | undefined;
  for (const member of CONTEXT_MEMBERS) {
    const encryptionContext = given?.[member];
    if (encryptionContext === undefined) continue;
    const name = JSON.stringify(encryptionContext);
    const known = group.byContext.get(name);
    if (known) known.calls++;
    else if (group.contexts.length < MOST_CONTEXTS) {
      const entry = { encryptionContext, calls: 1 };
      group.byContext.set(name, entry);
      group.contexts.push(entry);
    }
  }
}
