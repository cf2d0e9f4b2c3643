import fc from 'fast-check';

/** What happens to bytes on their way, or is done to them. */
export interface Change {
  at: number;
  kind: 'flip' | 'drop' | 'double' | 'insert';
  bytes: Uint8Array;
}

export const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom('flip', 'drop', 'double', 'insert'),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
});

/** A copy with the change made; now and then it is the same as before. */
export function changed(original: Uint8Array, { at, kind, bytes }: Change): Buffer {
  const from = at % original.length;
  const [before, after] = [original.subarray(0, from), original.subarray(from)];
  switch (kind) {
    case 'flip': {
      const flipped = Buffer.from(original);
      for (const [index, byte] of bytes.entries()) if (from + index < flipped.length) flipped[from + index]! ^= byte;
      return flipped;
    }
    case 'drop':
      return Buffer.concat([before, after.subarray(bytes.length)]);
    case 'double':
      return Buffer.concat([before, after.subarray(0, bytes.length), after]);
    case 'insert':
      return Buffer.concat([before, bytes, after]);
  }
}
