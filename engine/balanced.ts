/** The order of work on software adapters, whose threads each take one stretch of a dispatch's workgroups. */

/** Blocks that stay together, so that the lanes of a workgroup have about as much to do. */
const UNIT = 8;

/**
 * The same blocks, of which later ones take longer, in an order in which stretches of one length take about as long: eight from the
 * front and eight from the back in turns.
 */
export function balanced<T>(blocks: readonly T[]): T[] {
  const units = Math.floor(blocks.length / UNIT);
  const order = Array.from({ length: units }, (_, i) => i % 2 ? units - (i + 1) / 2 : i / 2);
  const whole = order.flatMap((unit) => blocks.slice(UNIT * unit, UNIT * (unit + 1)));
  return [...whole, ...blocks.slice(UNIT * units)];
}
