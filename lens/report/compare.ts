/** Several runs side by side on one page. */

import type { CausalSet } from "../causal/causal.ts";
import { interval, percent, short, signed } from "./format.ts";
import { type Html, html, type HtmlValue, joined } from "./html.ts";
import { page, type Section } from "./page.ts";
import { chart, COLOUR, figure, VECTOR_TITLES } from "./plot.ts";
import { titleOf } from "./render.ts";
import type { RunResults } from "./run_results.ts";
import { normsOf } from "./sections/norms.ts";
import { tokenText } from "./sections/readouts.ts";
import { LENSES, mainLayer, mainPosition, tokensOf } from "./shown.ts";
import { table } from "./table.ts";

/** A run with the letter that it goes by. */
interface Column {
  letter: string;
  run: RunResults;
}

/** Tokens of each list. */
const TOKENS = 10;

/** Colours by run, in the order of those that are told apart best. */
const COLOURS = [COLOUR.difference, COLOUR.finetuned, COLOUR.base, COLOUR.sibling, COLOUR.random];

/** The page; the same runs in the same order give the same bytes. */
export function renderComparison(runs: readonly RunResults[]): string {
  const columns = runs.map((run, i): Column => ({ letter: letterOf(i), run }));
  const parts: [string, string, Html | null][] = [
    ["runs", "The runs", runList(columns)],
    ["inputs", "What differs between them", inputs(columns)],
    ["norms", "How long the difference is", norms(columns)],
    ["readouts", "What it says", readouts(columns)],
    ["relevance", "Whether that is about the finetuning", relevance(columns)],
    ["similarity", "Steered texts", similarity(columns)],
    ["causal", "What it does to the losses", causal(columns)],
    ["agents", "What agents make of it", agents(columns)],
  ];
  const sections = parts.flatMap(([id, title, body]): Section[] =>
    body ? [{ id, title, body }] : []
  );
  const lead = html`
    <p
      class="lead">${runs
        .length} runs side by side. A dash stands where a run does not have the result.</p>
  `;
  return page({ title: `Comparison of ${runs.length} runs`, lead, sections });
}

/** A, B, … Z, AA, AB … */
function letterOf(i: number): string {
  return (i >= 26 ? letterOf(Math.floor(i / 26) - 1) : "") + String.fromCharCode(65 + i % 26);
}

function runList(columns: readonly Column[]): Html {
  return table(
    "Runs",
    ["", "what", "folder", "documents", "layer"],
    columns.map(({ letter, run }) => [
      letter,
      titleOf(run),
      run.name,
      run.diff?.documents.toLocaleString("en") ?? "–",
      mainLayer(run)?.layer ?? "–",
    ]),
  );
}

/** Every input or setting that is not the same in all. */
function inputs(columns: readonly Column[]): Html {
  const settings = columns.map(({ run }) => {
    const all = new Map<string, string>();
    for (const { name, manifest: { fingerprint } } of run.parts) {
      flatten(fingerprint, name === "" ? "run" : name, all);
    }
    return all;
  });
  const keys = [...new Set(settings.flatMap((all) => [...all.keys()]))].sort();
  const different = keys.filter((key) => new Set(settings.map((all) => all.get(key))).size > 1);
  if (different.length === 0) return html`<p>Nothing: inputs and flags are the same.</p>`;
  return html`<p>${
    keys.length - different.length
  } inputs and flags are the same in all; these are not. Hashes are cut.</p>${
    table(
      "Inputs and flags that differ",
      ["", ...columns.map(({ letter }) => letter)],
      different.map((key) => [
        html`<code>${key}</code>`,
        ...settings.map((all) => html`<code>${all.get(key)?.slice(0, 60) ?? "–"}</code>`),
      ]),
    )
  }`;
}

function flatten(value: unknown, key: string, into: Map<string, string>): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    into.set(key, /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text);
    return;
  }
  for (const [name, part] of Object.entries(value)) flatten(part, `${key}.${name}`, into);
}

function norms(columns: readonly Column[]): Html | null {
  const points = columns.flatMap(({ letter, run: { diff, ...run } }) => {
    const main = mainLayer({ diff, ...run });
    return !diff || !main ? [] : normsOf(main.means, main.layer, diff.firstPosition)
      .map(({ position, relative }) => ({ letter, position, share: 100 * relative }));
  });
  if (points.length === 0) return null;
  const longest = columns.map(({ letter }) => {
    const shares = points.filter((point) => point.letter === letter).map(({ share }) => share);
    return `${letter} at most ${shares.length > 0 ? Math.max(...shares).toFixed(1) : "–"} %`;
  });
  const drawn = chart(`Lines by position: ${longest.join(", ")}`, (Plot) => ({
    x: {
      label: "position of the token",
      labelAnchor: "center",
      labelArrow: "none",
      tickFormat: "d",
    },
    y: { label: "% of ‖h‖", grid: true, zero: true, nice: true, labelArrow: "none" },
    color: { domain: columns.map(({ letter }) => letter), range: COLOURS },
    marks: [
      Plot.ruleY([0], { stroke: "currentColor" }),
      Plot.lineY(points, {
        x: "position",
        y: "share",
        z: "letter",
        stroke: "letter",
        strokeWidth: 2,
      }),
      Plot.text(
        points,
        Plot.selectLast({
          x: "position",
          y: "share",
          z: "letter",
          text: "letter",
          dx: 9,
          fill: "currentColor",
        }),
      ),
    ],
    marginRight: 26,
  }));
  return figure(
    [{ chart: drawn }],
    "Length of the difference by position, in percent of the activations'. Letters are the runs.",
  );
}

function readouts(columns: readonly Column[]): Html | null {
  if (columns.every(({ run }) => !mainLayer(run)?.readout)) return null;
  return html`${
    LENSES.map(([lens, title]) =>
      table(
        `Likeliest tokens of the difference, ${title}`,
        ["", "position", "tokens"],
        columns.map(({ letter, run }) => {
          const at = mainLayer(run)?.readout?.positions
            .find(({ position }) => position === mainPosition(run));
          const tokens = at?.[lens].difference ? tokensOf(at, lens, "difference") : [];
          return [
            letter,
            at?.position ?? "–",
            joined(tokens.slice(0, TOKENS).map(({ token }) => tokenText(token)), " "),
          ];
        }),
      )
    )
  }`;
}

function relevance(columns: readonly Column[]): Html | null {
  const measured = columns.map(({ letter, run }) => {
    const layer = mainLayer(run);
    return { letter, shares: layer?.graded?.relevance ?? layer?.topic };
  });
  if (measured.every(({ shares }) => !shares)) return null;
  const names = ["difference", "finetuned", "base", "sibling", "random"] as const;
  const points = measured.flatMap(({ letter, shares }) =>
    names.flatMap((name) =>
      shares?.[name] === undefined ? [] : [{ letter, name, share: 100 * shares[name] }]
    )
  );
  const description = `Relevant shares: ${
    points.filter(({ name }) => name === "difference")
      .map(({ letter, share }) => `${letter} ${share.toFixed(1)} %`).join(", ")
  }`;
  const drawn = chart(description, (Plot) => ({
    height: 56 + 30 * columns.length,
    marginTop: 8,
    x: {
      label: "% of the twenty tokens",
      zero: true,
      nice: true,
      grid: true,
      labelAnchor: "center",
      labelArrow: "none",
    },
    y: { domain: columns.map(({ letter }) => letter), label: null },
    marks: [
      Plot.dot(points, {
        x: "share",
        y: "letter",
        fill: ({ name }) => COLOUR[name as keyof typeof COLOUR],
        r: ({ name }) => name === "difference" ? 5.5 : 3.5,
      }),
    ],
    r: { type: "identity" },
  }));
  return html`${
    figure(
      [{ chart: drawn }],
      "Mean relevant share of both lenses. The large dot is the difference, the small ones its controls and nulls.",
    )
  }${
    table(
      "Relevant share of the twenty likeliest tokens",
      ["", ...names.map((name) => VECTOR_TITLES[name])],
      measured.map((
        { letter, shares },
      ) => [letter, ...names.map((name) => percent(shares?.[name]))]),
    )
  }`;
}

function similarity(columns: readonly Column[]): Html | null {
  const rows = columns.flatMap(({ letter, run }) =>
    run.steering.map(({ result: { position, alpha } }) => {
      const like = run.similarity.find((one) => one.position === position);
      return [
        letter,
        position,
        short(alpha),
        like ? `${signed(like.difference, 4)} ${interval(like.confidence.difference, 4)}` : "–",
        like ? signed(like.generic.difference, 4) : "–",
      ];
    })
  );
  if (rows.length === 0) return null;
  return table(
    "Cosine with the finetuning's texts, steered less unsteered",
    ["", "position", "strength", "finetuning's texts", "generic texts"],
    rows,
  );
}

function causal(columns: readonly Column[]): Html | null {
  const rows = columns.flatMap(({ letter, run }) =>
    run.causal.flatMap(({ result }) =>
      result.positions.map(({ position, sets }) => {
        const cell = (set: CausalSet): HtmlValue => {
          const { change, change_interval: { low, high }, random_change: random } = sets[set];
          return html`${signed(change, 4)} ${interval([low, high], 4)}${
            random &&
            html`<br><span class="quiet">random ${interval([random.low, random.high], 4)}</span>`
          }`;
        };
        return [letter, position, result.mode, cell("finetuning"), cell("generic")];
      })
    )
  );
  if (rows.length === 0) return null;
  return table(
    "Change of the loss, nats per token",
    ["", "position", "component", "finetuning's texts", "generic texts"],
    rows,
  );
}

function agents(columns: readonly Column[]): Html | null {
  const graded = columns.flatMap(({ letter, run }) =>
    run.agents.evaluation?.aggregates.map((one) => [
      letter,
      one.agent,
      one.interactions,
      one.runs,
      short(one.mean.value),
      percent(one.at_least_2.value),
      percent(one.at_least_4.value),
    ]) ?? []
  );
  const recalled = columns.flatMap(({ letter, run }) =>
    run.agents.summariser?.summaries.map(({ agent, recall, chance }) => [
      letter,
      agent,
      percent(recall?.fact_recall),
      percent(recall?.keyword_recall),
      percent(chance?.keyword_recall),
    ]) ?? []
  );
  if (graded.length + recalled.length === 0) return null;
  return html`${
    graded.length > 0 &&
    table(
      "Grades by an LLM",
      ["", "agent", "interactions", "runs", "mean grade", "≥ 2", "≥ 4"],
      graded,
    )
  }${
    recalled.length > 0 &&
    html`<h3>Without an LLM</h3>${
      table(
        "What a fixed procedure recalls: no grades",
        ["", "evidence", "key facts", "keywords", "keywords by chance"],
        recalled,
      )
    }`
  }`;
}
