import type { ModelKey } from './model-key';
import type { World } from './world';

/** One call about the key of a region, and what is known of how it is to go. */
export interface Ask {
  input: Record<string, unknown>;
  /** What is wrong with the request itself, which is said before the key's kind and state are looked at. */
  early?: string | undefined;
  /** What is wrong with it once they allow it. */
  late?: string | undefined;
  /** That neither kind nor state of the key matters: the call is about something else. */
  isOfOther?: boolean;
  /** What it changes, where it is done. */
  done?: (body: Record<string, unknown>) => void;
}

export interface Place {
  world: World;
  at: number;
  key: ModelKey;
  /** Any number: the same one makes the same call. */
  pick: number;
}

export type Asking = (place: Place) => Ask | Promise<Ask>;

/** By its id, or by its ARN. */
export const named = ({ key, pick }: Place): { KeyId: string } => ({ KeyId: pick % 2 === 0 ? key.keyId : key.arn });
