import { LRUCache } from 'lru-cache';
import { KmsError } from '#domain/errors';
import type { NamedIds } from '#domain/named-ids';
import { type CompiledPolicy, compilePolicy } from '#policy/compile';
import { type PolicyDocument, parsePolicyDocument } from '#policy/document';
import type { PolicyKind } from '#policy/grammar';

/** Bounds of what is kept for each kind of policy: texts, and their characters together. */
const MAX_TEXTS = 5_000;
const MAX_CHARACTERS = 16_000_000;

const newCache = () =>
  new LRUCache<string, CompiledPolicy>({
    max: MAX_TEXTS,
    maxSize: MAX_CHARACTERS,
    sizeCalculation: (_policy, text) => text.length + 1,
  });

/** One for each kind, so that the text itself is the key: its hash is kept with it, that of a joined one is not. */
const caches: Record<PolicyKind, LRUCache<string, CompiledPolicy>> = {
  key: newCache(),
  identity: newCache(),
  session: newCache(),
  trust: newCache(),
};

/**
 * A stored policy, ready to be asked; most keys share one text, so each text is compiled once. One that can no longer be
 * read denies everything: what it denied is not known, so that its other side alone must not count.
 */
export function compiledPolicy(kind: PolicyKind, text: string, namedIds?: NamedIds): CompiledPolicy {
  let compiled = caches[kind].get(text);
  if (!compiled) {
    compiled = compilePolicy(readStored(kind, text));
    caches[kind].set(text, compiled);
  }
  // The matchers are those of the text, whomever its ARNs mean.
  return namedIds === undefined ? compiled : { ...compiled, namedIds };
}

function readStored(kind: PolicyKind, text: string): PolicyDocument {
  try {
    return parsePolicyDocument(text, kind);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    return denyAll(kind);
  }
}

const denyAll = (kind: PolicyKind): PolicyDocument => ({
  kind,
  version: '2012-10-17',
  statements: [
    {
      sid: 'UnreadablePolicy',
      effect: 'Deny',
      ...(kind === 'key' || kind === 'trust' ? { principal: { not: false, of: '*' as const } } : {}),
      action: { not: false, of: ['*'] },
      resource: { not: false, of: ['*'] },
      conditions: [],
    },
  ],
});
