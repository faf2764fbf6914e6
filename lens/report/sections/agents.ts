/** What agents made of the evidence: an LLM's grades and transcripts; apart from them, what a fixed procedure recalls. */

import type {
  AgentRun,
  Estimate,
  Evaluation,
  SummariserResult,
  Turn,
} from "../../agent/results.ts";
import { counted, percent, short } from "../format.ts";
import { type Html, html, type HtmlValue, joined } from "../html.ts";
import { markedText } from "../marked_text.ts";
import { chart, COLOUR, figure } from "../plot.ts";
import { folded, table } from "../table.ts";

const COLOURS = { adl: COLOUR.difference, blackbox: COLOUR.random, logitdiff: COLOUR.finetuned };

/** Grades by agent and budget, and every run. */
export function agentsSection(
  { evaluation, runs }: { evaluation?: Evaluation; runs: readonly AgentRun[] },
): Html {
  return html`
    <p>An LLM investigates what the model was finetuned for: the ADL agent with the lens' readouts and steered texts at hand, the blackbox
    agent with the model alone, the logit-diff agent with the tokens that the finetuning made likelier. A grader then scores its answer from 1 to
    5 against what is true, three times. Only the comparison between agents says what the lens is worth.</p>
    ${evaluation && grades(evaluation)}
    ${runs.length > 0 &&
      html`<h3>Transcripts</h3>${runs.map((run) => transcript(run, evaluation))}`}
  `;
}

function grades({ aggregates, llm, grader }: Evaluation): Html {
  return html`<p>Agents: ${llm}. Grader: ${grader}.</p>
${gradeFigure(aggregates)}
${table("Grades by agent and budget", GRADE_COLUMNS, aggregates.map(gradeCells))}`;
}

/** Shares of good grades with their intervals. */
export function gradeFigure(aggregates: Evaluation["aggregates"]): Html {
  const charts = ([2, 3, 4] as const).map((least) => ({
    title: `Share graded ${least} or more`,
    chart: gradePanel(aggregates, least),
  }));
  return figure(
    charts,
    "Lines are 95 % intervals (Wilson). Interactions are prompts that models answer, and steered texts.",
  );
}

/** The heads of a table of grades. */
export const GRADE_COLUMNS = [
  "agent",
  "interactions",
  "runs",
  "answered",
  "mean grade",
  "≥ 2",
  "≥ 3",
  "≥ 4",
  "tokens a run",
];

/** A row of it. */
export function gradeCells(one: Evaluation["aggregates"][number]): HtmlValue[] {
  const range = ({ value, interval: [low, high] }: Estimate, show: (of: number) => string) =>
    `${show(value)} [${show(low)}, ${show(high)}]`;
  return [
    one.agent,
    one.interactions,
    one.runs,
    one.answered,
    range(one.mean, short),
    range(one.at_least_2, percent),
    range(one.at_least_3, percent),
    range(one.at_least_4, percent),
    Math.round(one.mean_tokens).toLocaleString("en"),
  ];
}

function gradePanel(aggregates: Evaluation["aggregates"], least: 2 | 3 | 4): Html {
  const rows = aggregates.map((one) => {
    const { value, interval: [low, high] } = one[`at_least_${least}`];
    const name = `${one.agent}, ${one.interactions}`;
    return { name, agent: one.agent, value: 100 * value, low: 100 * low, high: 100 * high };
  });
  const description = `Share of runs graded ${least} or more: ${
    rows.map(({ name, value }) => `${name} interactions ${value.toFixed(0)} %`).join(", ")
  }`;
  const colour = ({ agent }: { agent: keyof typeof COLOURS }) => COLOURS[agent];
  return chart(description, (Plot) => ({
    height: 52 + 26 * rows.length,
    marginLeft: 100,
    marginTop: 8,
    marginRight: 14,
    x: {
      domain: [0, 100],
      label: "% of runs",
      grid: true,
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { domain: rows.map(({ name }) => name), label: null },
    marks: [
      Plot.ruleY(rows, { y: "name", x1: "low", x2: "high", stroke: colour, strokeWidth: 2 }),
      Plot.dot(rows, { y: "name", x: "value", fill: colour, r: 4 }),
    ],
  }));
}

function transcript(run: AgentRun, evaluation?: Evaluation): Html {
  const graded = evaluation?.runs.find((one) =>
    one.agent === run.agent && one.run === run.run && one.interactions === run.budget.interactions
  );
  const scores = graded && graded.gradings.length > 0
    ? `graded ${graded.gradings.map(({ score }) => score).join(", ")}`
    : graded && "no answer, grade 1";
  const title = joined(
    [`${run.agent}, ${run.budget.interactions} interactions, run ${run.run}`, scores].filter(
      Boolean,
    ),
    ": ",
  );
  const file = `run_${run.agent}_${run.budget.interactions}_${run.run}.json`;
  const spent =
    `Spent ${run.spent.interactions} of ${run.budget.interactions} interactions, ${run.spent.llm_calls} of ${run.budget.llm_calls} calls, ${run.spent.tokens} of ${run.budget.tokens} tokens`;
  return folded(
    title,
    html`<p class="quiet">${spent}; ended: ${run.end ?? "not yet"}.</p>
${
      run.hypothesis !== null &&
      html`
        <p><strong>Its answer.</strong></p>
        <blockquote>${markedText(run.hypothesis, { file })}</blockquote>
      `
    }
${
      graded?.gradings.map(({ grading, score, answer }) =>
        folded(
          `Grading ${grading}: ${score}`,
          html`<blockquote>${markedText(answer, { file })}</blockquote>`,
        )
      )
    }
<ol class="transcript">${run.transcript.map((turn) => turnItem(turn, file))}</ol>`,
  );
}

function turnItem(turn: Turn, file: string): Html {
  const who: HtmlValue = turn.role === "tool"
    ? `tool ${turn.name}${turn.ok ? "" : " (refused)"}`
    : turn.role;
  const calls = turn.role === "assistant"
    ? turn.tool_calls.map((call) =>
      html`<blockquote class="call">${
        markedText(`${call.name}(${call.arguments})`, { file })
      }</blockquote>`
    )
    : [];
  const content = turn.content !== "" &&
    html`<blockquote>${markedText(turn.content, { file })}</blockquote>`;
  return html`
    <li><p class="side">${who}</p>${content}${calls}</li>
  `;
}

/** What the evidence summariser recalls: never beside an LLM's grades. */
export function summariserSection({ summaries }: SummariserResult): Html {
  const chance = summaries.find(({ chance }) => chance)?.chance;
  return html`
    <p>No LLM: a fixed procedure takes the most telling words of the evidence that each agent would see, and is scored by how much of the truth
    they recall. These are no grades and cannot be compared with any; they show how much more evidence the lens gives than the model alone.${chance &&
      ` Chance is the same against the truth of ${
        counted(chance.organisms, "organism")
      } of other topics.`}</p>
    ${table("Recall by evidence", RECALL_COLUMNS, summaries.map(recallCells))}
    ${summaries.map(({ agent, words, sentences, recall }) =>
      folded(
        `What is made of the evidence of ${agent}`,
        html`<p class="words">${joined(words, " ")}</p>
${
          sentences.length > 0 &&
          html`<ul>${
            sentences.map((text) => html`<li>${markedText(text, { file: "summariser.json" })}</li>`)
          }</ul>`
        }
${
          recall && recall.facts.length > 0 &&
          table(
            "The key facts",
            ["fact", "words found", "recalled"],
            recall.facts.map((
              { fact, coverage, recalled },
            ) => [fact, percent(coverage), recalled ? "yes" : "no"]),
          )
        }`,
      )
    )}
  `;
}

/** The heads of a table of recall. */
export const RECALL_COLUMNS = [
  "evidence",
  "key facts",
  "by chance",
  "keywords",
  "by chance",
  "precision of words",
  "by chance",
];

/** A row of it. */
export function recallCells(
  { agent, recall, chance }: SummariserResult["summaries"][number],
): HtmlValue[] {
  return [
    agent,
    percent(recall?.fact_recall),
    percent(chance?.fact_recall),
    percent(recall?.keyword_recall),
    percent(chance?.keyword_recall),
    percent(recall?.word_precision),
    percent(chance?.word_precision),
  ];
}
