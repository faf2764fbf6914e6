/** The event loop, wherever this runs. */

/** Node's, which Deno has too: a timer takes a millisecond or two. */
const { setImmediate } = globalThis as unknown as { setImmediate?: (turn: () => void) => void };

/** Calls this at the event loop's next turn. */
export const nextTurn: (turn: () => void) => void = setImmediate ??
  ((turn) => void setTimeout(turn, 0));
