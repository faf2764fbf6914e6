/** How far from the mean of a model's own texts a text may lie. */

/**
 * Standard deviations between a mean and a limit. Of texts like those that were measured at most one in ten lies beyond
 * three, whatever their distribution (Cantelli's inequality), and one in 700 of a normal one. A quantile of a few dozen texts
 * would be the value of a single one of them.
 */
export const SPREAD = 3;

/** The variance of a sample, with n − 1; 0 for a single value. */
export function variance(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}

/** Its square root. */
export function deviation(values: readonly number[]): number {
  return Math.sqrt(variance(values));
}
