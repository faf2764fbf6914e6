/** Agents on several organisms: what an LLM graded, and apart from that what a fixed procedure recalls. */

import { type Html, html, joined } from "../html.ts";
import type { EvaluatedOrganisms } from "../run_results.ts";
import { table } from "../table.ts";
import { GRADE_COLUMNS, gradeCells, gradeFigure, RECALL_COLUMNS, recallCells } from "./agents.ts";

/** Words of the summariser that are named. */
const NAMED = 6;

/** Tables of all organisms; each has a page of its own in its folder. */
export function organismsSection({ grades, summaries }: EvaluatedOrganisms): Html {
  const names = grades?.organisms ?? summaries ?? [];
  const pages = names.map(({ organism }) =>
    html`<a href="${encodeURIComponent(organism)}/report.html">${organism}</a>`
  );
  return html`
    <p>Each organism has a page of its own, with the evidence and what was made of it: ${joined(
      pages,
      ", ",
    )}.</p>
    ${grades && gradesOf(grades)}${summaries && recallOf(summaries)}
  `;
}

function gradesOf({ organisms, all }: NonNullable<EvaluatedOrganisms["grades"]>): Html {
  const rows = [...organisms, { organism: "all", aggregates: all }].flatMap((
    { organism, aggregates },
  ) => aggregates.map((one) => [organism, ...gradeCells(one)]));
  return html`<h3>Grades by an LLM</h3>
<p>Over all organisms each counts as one observation, however many runs it has, as those are alike.</p>
${gradeFigure(all)}
${table("Grades by organism, agent and budget", ["organism", ...GRADE_COLUMNS], rows)}`;
}

function recallOf(summaries: NonNullable<EvaluatedOrganisms["summaries"]>): Html {
  const rows = summaries.flatMap(({ organism, summaries }) =>
    summaries.map((one) => [
      organism,
      ...recallCells(one),
      joined(one.words.slice(0, NAMED), " "),
    ])
  );
  return html`<h3>Without an LLM</h3>
<p>No grades: a fixed procedure takes the most telling words of the evidence that each agent would see, and is scored by how much of the truth
they recall. Chance is the same against the truth of organisms of other topics. An organism without a topic has nothing to recall.</p>
${table("Recall by organism and evidence", ["organism", ...RECALL_COLUMNS, "first words"], rows)}`;
}
