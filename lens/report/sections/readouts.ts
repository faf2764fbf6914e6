/** What the vectors of one layer say: lists of tokens with their probabilities, the difference beside its controls. */

import { tokenMatchesKeyword } from "../../keywords.ts";
import type { PositionReadout, TokenProb } from "../../readout.ts";
import { percent, short } from "../format.ts";
import { cutText, Html, html, visibleText } from "../html.ts";
import { VECTOR_TITLES } from "../plot.ts";
import type { LayerResults, RunResults } from "../run_results.ts";
import { LENSES, mainLayer, mainPosition, tokensOf, topicWords, VECTORS } from "../shown.ts";
import { folded } from "../table.ts";

/** Tokens of a list that are shown; the files have more. */
const SHOWN = 12;

/** A token has no longest form either. */
const MOST_CHARACTERS = 40;

/** Lists of the main layer: one position unfolded, the others folded. */
export function readoutSection(run: RunResults): Html {
  const main = mainLayer(run)!;
  const open = mainPosition(run);
  const words = topicWords(run);
  const others = run.diff!.layers.length - 1;
  return html`
    <p>Each list is what one vector says when it is read as if it were an activation: through the <strong>logit lens</strong> (the
    final norm and the unembedding applied to it) and through <strong>Patchscope</strong> (the model repeats what it sees where the vector
    was put). Bars are probabilities. A dot before a word is a space: a token without it goes on from another.
    ${words.size > 0 &&
      html`Tokens that are <mark>marked</mark> belong to the words of the finetuning's topic.`}
    What is read in the difference counts only beside the other lists: the base's mean and random directions of the same length have
    nothing of the finetuning in them; the sibling was finetuned on something else; the finetuned model's mean holds the difference.</p>
    ${others > 0 &&
      html`<p>Layer ${main.layer} is shown; ${others} more were read and lie in the results.</p>`}
    ${main.readout!.positions.map((at) => positionLists(main, at, words, at.position === open))}
  `;
}

function positionLists(
  { layer }: LayerResults,
  at: PositionReadout,
  words: ReadonlySet<string>,
  open: boolean,
): Html {
  const lenses = LENSES.map(([lens, title]) => {
    const names = VECTORS.map((vector) => vector === "random" ? "random_1" : vector)
      .filter((name) => Object.hasOwn(at[lens], name));
    const lists = names.map((name) => {
      const vector = VECTORS.find((one) => name.startsWith(one))!;
      const scale = lens === "patchscope" ? scaleNote(at.patchscope[name].scale) : "";
      return html`
        <table class="tokens ${vector}">
          <caption>${VECTOR_TITLES[vector]}${name === "random_1" &&
            " (one of them)"}<span class="quiet">${scale}</span></caption>
          <tbody>${tokensOf(at, lens, name).slice(0, SHOWN).map((token) =>
            tokenRow(token, words)
          )}</tbody>
        </table>
      `;
    });
    return html`
      <h3>Position ${at.position}, ${title}</h3>
      <div class="lists">${lists}</div>
    `;
  });
  const summary = html`Layer ${layer}, position ${at.position}: ‖δ‖ ${short(at.delta_norm)}, ${
    percent(at.relative_norm)
  } of the activations'`;
  return folded(summary, html`${lenses}`, open);
}

function scaleNote(scale: number | null): string {
  return scale === null ? " · no scale is coherent" : ` · scale ${scale}`;
}

function tokenRow({ token, prob }: TokenProb, words: ReadonlySet<string>): Html {
  const text = tokenText(token);
  const name = tokenMatchesKeyword(token, words) ? html`<mark>${text}</mark>` : text;
  return html`
    <tr>
      <th scope="row">${name}</th>
      <td>${bar(prob)}</td>
      <td>${percent(prob)}</td>
    </tr>
  `;
}

/** A token with its spaces and line breaks visible. */
export function tokenText(token: string): Html {
  const { shown, left } = cutText(visibleText(token), MOST_CHARACTERS);
  const visible = shown.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
  const spaces = /^ */.exec(visible)![0].length;
  return html`${spaces > 0 && html`<span class="space">${"·".repeat(spaces)}</span>`}${
    visible.slice(spaces)
  }${left > 0 && "…"}`;
}

/** A probability as a bar; the number stands beside it. */
function bar(prob: number): Html {
  const width = Math.max(0, Math.min(100, 100 * prob)).toFixed(2);
  return html`
    <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect width="${width}" height="8" />
    </svg>
  `;
}
