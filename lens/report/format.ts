/** Numbers as the report prints them. */

/** Three significant digits, without an exponent where that is short. */
export function short(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (!(size >= 1e-4 && size < 1e6)) return value.toExponential(2).replace("-", "−");
  return minus(size >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3))));
}

/** A share as `12.3 %` (never broken before its sign), or a dash where there is none. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return "–";
  return `${(100 * share).toFixed(share !== 0 && Math.abs(share) < 0.001 ? 2 : 1)}\u00a0%`;
}

/** With its sign, and so many digits after the point. */
export function signed(value: number, digits: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

/** `[−0.012, +0.034]`. */
export function interval([low, high]: readonly [number, number], digits: number): string {
  return `[${signed(low, digits)},\u00a0${signed(high, digits)}]`;
}

/** The first digits of a hash. */
export function shortHash(hash: string): string {
  return hash.slice(0, 12);
}

/** `1 document`, `2 documents`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function minus(text: string): string {
  return text.replace("-", "−");
}
