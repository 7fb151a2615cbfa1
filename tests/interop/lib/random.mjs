// Chance with a seed: the same seed gives the same numbers on every machine. No cryptography.

/** A source of chance (mulberry32) that begins at `seed`, a whole number. */
export function chance(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit) => Math.floor(next() * limit);
  return {
    /** From 0 to below 1. */
    next,
    /** A whole number from 0 to below `limit`. */
    below,
    /** A whole number from `low` to `high`. */
    between: (low, high) => low + below(high - low + 1),
    /** True so often out of once. */
    happens: (share) => next() < share,
    /** One of `items`. */
    pick: (items) => items[below(items.length)],
    /** A UUID of version 4. */
    uuid: () => {
      const digits = Array.from({ length: 32 }, () => below(16).toString(16));
      digits[12] = '4';
      digits[16] = '89ab'[below(4)];
      const text = digits.join('');
      return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
    },
  };
}
