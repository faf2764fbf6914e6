/** What is wrong with a run, and how two values are compared. */

/** One thing that is not as it was written. */
export interface Problem {
  /** Within the run, such as `diff/readout_2.json`. */
  file: string;
  problem: string;
}

/** A value of a file beside the same value derived again. */
export interface Derived {
  file: string;
  stored: unknown;
  derived: unknown;
}

/**
 * Sums are made in the same order, so numbers come out the same; this is for `Math.log` and its like, which another version of
 * the runtime may round otherwise.
 */
const TOLERANCE = 1e-9;

/** Numbers that agree, and the first place where two values do not. */
export interface Compared {
  numbers: number;
  /** Null where they are the same. */
  difference: string | null;
}

/** Compares two values of JSON part by part. */
export function compareValues({ stored, derived }: Pick<Derived, "stored" | "derived">): Compared {
  const counter = { numbers: 0 };
  return { difference: differenceOf(stored, derived, "", counter), numbers: counter.numbers };
}

function differenceOf(
  stored: unknown,
  derived: unknown,
  path: string,
  counter: { numbers: number },
): string | null {
  if (typeof stored === "number" && typeof derived === "number") {
    counter.numbers++;
    if (isSame(stored, derived)) return null;
  } else if (isObject(stored) && isObject(derived)) {
    const keys = [...new Set([...Object.keys(stored), ...Object.keys(derived)])].sort();
    for (const key of keys) {
      const within = `${path}${path === "" ? "" : "."}${key}`;
      const found = differenceOf(stored[key], derived[key], within, counter);
      if (found !== null) return found;
    }
    return null;
  } else if (stored === derived) return null;
  const says = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, 60);
  return `${path || "it"} is ${says(stored)}, derived again ${says(derived)}`;
}

/** Whether two numbers differ by rounding alone. */
export function isSame(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
