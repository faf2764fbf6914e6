/** What the finetuned model writes with the difference added, beside what it writes without. */

import type { Steering } from "../../run_steer.ts";
import { counted, short } from "../format.ts";
import { type Html, html } from "../html.ts";
import { markedText, topicRate } from "../marked_text.ts";
import { chart, COLOUR, figure } from "../plot.ts";
import type { RunResults } from "../run_results.ts";
import { topicWords } from "../shown.ts";
import { folded, table } from "../table.ts";

/** Prompts whose first texts are shown unfolded. */
const OPEN_PROMPTS = 3;

/** Texts of a prompt that are shown; the file has all. */
const SHOWN_SAMPLES = 5;

/** Every position that was steered with. */
export function steeringSection(run: RunResults): Html {
  const words = topicWords(run);
  return html`
    <p>The difference, times a strength, is added to the finetuned model's residual stream at every token while it answers prompts that
    have nothing to do with the finetuning. The strength is the largest at which its texts are still coherent. Steered and unsteered texts
    of one row draw from the same random numbers: what differs comes from the steering.</p>
    ${words.size > 0 &&
      html`<p><mark>Marked</mark> words belong to the finetuning's topic (the same set as under relevance). <span class="same">Pale</span>
beginnings are the same in both texts.</p>`}
    ${run.steering.map(({ result, file }) => positionTexts(result, file, words))}
  `;
}

function positionTexts(steering: Steering, file: string, words: ReadonlySet<string>): Html {
  const { layer, position, alpha, searches, samples } = steering;
  const rows = samples.map((sample) => promptTexts(sample, file, words));
  const all = (side: "steered" | "unsteered") => samples.flatMap((sample) => sample[side]);
  return html`<h3>Layer ${layer}, position ${position}: strength ${short(alpha)}</h3>
${searches.length > 0 && searchFigure(steering)}
${
    words.size > 0 &&
    table(
      "Words of the topic among all words of the texts",
      ["texts", "number", "words of the topic"],
      (["steered", "unsteered"] as const).map((side) => {
        const { share, of } = topicRate(all(side), words);
        return [side, all(side).length, `${(100 * share).toFixed(1)} % of ${counted(of, "word")}`];
      }),
    )
  }
${rows.slice(0, OPEN_PROMPTS)}
${
    rows.length > OPEN_PROMPTS &&
    folded(
      `${counted(rows.length - OPEN_PROMPTS, "more prompt")}`,
      html`${rows.slice(OPEN_PROMPTS)}`,
    )
  }`;
}

function promptTexts(
  { prompt, steered, unsteered }: Steering["samples"][number],
  file: string,
  words: ReadonlySet<string>,
): Html {
  const pairs = steered.slice(0, SHOWN_SAMPLES).map((text, i) =>
    pair(text, unsteered[i], file, words)
  );
  const hidden = steered.length - pairs.length;
  const note = hidden > 0 &&
    html`<p class="quiet">${counted(hidden, "more text")} of each kind in ${file}</p>`;
  return html`<article class="prompt"><h4><span class="quiet">Prompt:</span> ${
    markedText(prompt, { file })
  }</h4>
${pairs[0]}
${
    pairs.length > 1 &&
    folded(`${counted(pairs.length - 1, "more answer")}`, html`${pairs.slice(1)}${note}`)
  }
</article>`;
}

function pair(
  steered: string,
  unsteered: string | undefined,
  file: string,
  words: ReadonlySet<string>,
): Html {
  const same = unsteered === undefined ? 0 : commonStart(steered, unsteered);
  const side = (title: string, text: string) =>
    html`
      <div>
        <p class="side">${title}</p>
        <blockquote>${markedText(text, { words, same, file })}</blockquote>
      </div>
    `;
  return html`
    <div class="pair">${side("steered", steered)}${unsteered !== undefined &&
      side("unsteered", unsteered)}</div>
  `;
}

/** How many characters two texts begin with in common, up to the last space of them. */
function commonStart(a: string, b: string): number {
  let end = 0;
  while (end < a.length && a[end] === b[end]) end++;
  if (end === a.length && end === b.length) return end;
  return a.slice(0, end).lastIndexOf(" ") + 1;
}

function searchFigure({ searches, alpha, position }: Steering): Html {
  const points = searches.flatMap(({ rounds }, prompt) =>
    rounds.flatMap(({ strengths, coherent }) =>
      strengths.map((strength, i) => ({ prompt, strength, share: 100 * coherent[i] }))
    )
  );
  const description =
    `Share of coherent texts by strength at position ${position}; the strength taken is ${
      short(alpha)
    }`;
  const drawn = chart(description, (Plot) => ({
    height: 200,
    // Strengths of interest lie close together near zero.
    x: { type: "sqrt", label: "strength", labelAnchor: "center", labelArrow: "none", grid: true },
    y: { label: "% coherent", domain: [0, 100], labelArrow: "none" },
    marks: [
      Plot.ruleY([75], { stroke: "currentColor", strokeDasharray: "2 3" }),
      Plot.ruleX([alpha], { stroke: COLOUR.difference, strokeWidth: 2 }),
      Plot.dot(points, { x: "strength", y: "share", stroke: COLOUR.base, r: 3 }),
    ],
  }));
  return figure(
    [{ title: "Finding the strength", chart: drawn }],
    `Each dot is a strength that was tried on one of ${
      counted(searches.length, "prompt")
    }. A strength passes at 75 % (dotted); the line is the mean of the largest that passed.`,
  );
}
