/** What `deno task evaluate` prints for people. */

import { GRADES_LEGEND, gradesTable, RECALL_LEGEND, recallTable } from "./agent_print.ts";
import type { EvaluateShown } from "./evaluate.ts";
import { visible } from "./visible.ts";
import { wrap } from "./wrap.ts";

/** The tables. */
export function evaluateText({ grades, summaries, results }: EvaluateShown): string {
  const lines: string[] = [];
  if (grades) {
    const rows = grades.organisms.flatMap(({ organism, aggregates }) =>
      aggregates.map((row) => ({ ...row, organism }))
    );
    lines.push(gradesTable([...rows, ...grades.all]), "", wrap(GRADES_LEGEND));
    lines.push("", `Plot: ${visible(results)}/grades.svg`);
  }
  if (summaries) lines.push(recallTable(summaries), "", wrap(RECALL_LEGEND));
  lines.push("", `Results: ${visible(results)}`);
  return lines.join("\n");
}
