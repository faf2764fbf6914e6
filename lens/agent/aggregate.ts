/**
 * From graded runs to numbers with confidence intervals.
 *
 * Of one organism: the mean with the percentile bootstrap over runs, shares with Wilson's interval (Journal of the American
 * Statistical Association 22:209, 1927). Runs of one organism are alike, so over several organisms their means are what is
 * averaged: the bootstrap draws organisms, and Wilson's n is their number, as if all runs of one were a single one. That is on the
 * safe side.
 */

import { middle95, resampledMeans } from "../similarity/bootstrap.ts";
import { AGENTS, type Aggregate, type Estimate, type GradedRun } from "./results.ts";

/** Of the bootstrap. */
const BOOTSTRAP_STREAM = 40;

/** The 97.5 % quantile of the normal distribution. */
const Z = 1.959963984540054;

/** Wilson's 95 % interval of a share of `n`, which need not come from whole counts. */
export function wilsonInterval(share: number, n: number): [low: number, high: number] {
  const centre = share + Z * Z / (2 * n);
  const half = Z * Math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n));
  const scale = 1 + Z * Z / n;
  return [Math.max(0, (centre - half) / scale), Math.min(1, (centre + half) / scale)];
}

/**
 * One row for each agent and budget, in the order of agents and budgets.
 *
 * @param organisms the runs of each organism
 */
export function aggregateRuns(organisms: readonly (readonly GradedRun[])[]): Aggregate[] {
  const rows: Aggregate[] = [];
  for (const agent of AGENTS) {
    const own = organisms.map((runs) => runs.filter((run) => run.agent === agent));
    const budgets = new Set(own.flat().map(({ interactions }) => interactions));
    for (const interactions of [...budgets].sort((a, b) => a - b)) {
      const groups = own.map((runs) => runs.filter((run) => run.interactions === interactions))
        .filter((runs) => runs.length > 0);
      rows.push(aggregate(groups, { agent, interactions }));
    }
  }
  return rows;
}

function aggregate(
  groups: readonly (readonly GradedRun[])[],
  named: Pick<Aggregate, "agent" | "interactions">,
): Aggregate {
  const runs = groups.flat();
  const several = groups.length > 1;
  const units = several ? groups : runs.map((run) => [run]);
  const perUnit = (read: (run: GradedRun) => number) =>
    units.map((unit) => unit.reduce((sum, run) => sum + read(run), 0) / unit.length);
  const atLeast = (grade: number): Estimate => {
    const value = meanOf(perUnit(({ score }) => score >= grade ? 1 : 0));
    return { value, interval: wilsonInterval(value, units.length) };
  };
  const means = perUnit(({ mean_score }) => mean_score);
  const [drawn] = resampledMeans([means], 0, BOOTSTRAP_STREAM);
  const costs = runs.map(({ cost }) => cost);
  return {
    ...named,
    organisms: groups.length,
    runs: runs.length,
    answered: runs.filter(({ hypothesis }) => hypothesis !== null).length,
    mean: { value: meanOf(means), interval: middle95(drawn) },
    at_least_2: atLeast(2),
    at_least_3: atLeast(3),
    at_least_4: atLeast(4),
    mean_interactions: meanOf(runs.map(({ spent }) => spent.interactions)),
    mean_llm_calls: meanOf(runs.map(({ spent }) => spent.llm_calls)),
    mean_tokens: meanOf(runs.map(({ spent }) => spent.tokens)),
    cost: costs.includes(null) ? null : (costs as number[]).reduce((sum, one) => sum + one, 0),
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
