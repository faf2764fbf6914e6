/** The finding in a few plain sentences, each with what it is to be held against. */

import { interval, percent, short, signed } from "./format.ts";
import { type Html, html, type HtmlValue, joined } from "./html.ts";
import { VECTOR_TITLES } from "./plot.ts";
import type { RunResults } from "./run_results.ts";
import { tokenText } from "./sections/readouts.ts";
import { mainLayer, mainPosition } from "./shown.ts";

/** Tokens that are named. */
const NAMED = 6;

/** What stands under the title: what is read and how it stands against the nulls, then what else was measured. */
export function lead(run: RunResults): Html {
  const said = (sentences: HtmlValue[]) => sentences.filter((sentence) => sentence !== null);
  const others = said([steeringOf(run), causalOf(run), agentsOf(run), recallOf(run)]);
  const description = run.summary?.description;
  return html`<p class="lead">${
    joined(said([sizeOf(run), wordsOf(run), relevanceOf(run)]), " ")
  }</p>
${others.length > 0 && html`<ul>${others.map((sentence) => html`<li>${sentence}</li>`)}</ul>`}
${description && html`<p class="truth"><strong>In truth:</strong> ${description}</p>`}
${isEmbedded(run) && html`<p class="quiet">${EMBEDDED}</p>`}`;
}

const EMBEDDED =
  "The embedded models are tiny and demonstrate the pipeline: the base was trained with an early-exit loss that makes its middle layers readable. They are no evidence for the paper's claims.";

function isEmbedded({ summary, parts }: RunResults): boolean {
  const bases = [summary?.base, ...parts.map((part) => part.said("base"))];
  return bases.some((base) => typeof base === "string" && base.startsWith("embedded:"));
}

function sizeOf(run: RunResults): HtmlValue {
  const at = positionRead(run);
  if (!at) return null;
  const { documents } = run.diff!;
  return html`On the first tokens of ${
    documents.toLocaleString("en")
  } texts that have nothing to do with the finetuning, the finetuned
model's activations at layer ${
    mainLayer(run)!.layer
  } differ from the base's, at position ${at.position}, by ${
    percent(at.relative_norm)
  } of their length.`;
}

function wordsOf(run: RunResults): HtmlValue {
  const read = positionRead(run);
  const scope = read?.patchscope.difference;
  const lens = read?.logit_lens.difference;
  if (!scope || !lens) return null;
  const list = (tokens: readonly { token: string }[]) =>
    joined(
      tokens.slice(0, NAMED).map(({ token }) => html`<q>${tokenText(token.trim())}</q>`),
      ", ",
    );
  const scale = scope.scale === null
    ? "no scale of Patchscope gives words that belong together"
    : html`through Patchscope (at scale ${scope.scale}) ${list(scope.tokens)}`;
  return html`Read as if it were an activation, the mean difference says, through the logit lens, likeliest first, ${
    list(lens.top)
  }; ${scale}.`;
}

function relevanceOf(run: RunResults): HtmlValue {
  const layer = mainLayer(run);
  const shares = layer?.graded?.relevance ?? layer?.topic;
  if (!shares) return null;
  const nulls = (["base", "random", "sibling"] as const)
    .flatMap((name) => shares[name] === undefined ? [] : [{ name, share: shares[name] }]);
  const worst = nulls.toSorted((a, b) => b.share - a.share)[0];
  const beside = joined(
    nulls.map(({ name, share }) => `${VECTOR_TITLES[name]} ${percent(share)}`),
    ", ",
  );
  const verdict = shares.difference > worst.share
    ? html`more than any of its nulls (${beside})`
    : html`<strong>no more than its nulls</strong> (${beside}): this readout does not tell what the finetuning was about`;
  return html`Of the twenty likeliest tokens, ${
    percent(shares.difference)
  } are relevant to the finetuning, ${verdict}; the finetuned
model's mean, which holds the difference, has ${percent(shares.finetuned)}.`;
}

function steeringOf({ steering: [first], similarity: [like] }: RunResults): HtmlValue {
  if (!first) return null;
  const { alpha, position } = first.result;
  const strength = html`With the difference of position ${position} added ${short(alpha)} times`;
  if (!like) return html`${strength}, the model still writes coherent text, shown below.`;
  const { confidence, difference, generic } = like;
  const [low, high] = confidence.difference;
  const change = low > 0
    ? "more like the finetuning's"
    : high < 0
    ? "less like the finetuning's"
    : "neither more nor less like the finetuning's";
  return html`${strength}, the model's answers to unrelated prompts become ${change} than without (mean cosine ${
    signed(difference, 3)
  } ${interval(confidence.difference, 3)}; with generic texts ${signed(generic.difference, 3)}).`;
}

function causalOf({ causal: [first] }: RunResults): HtmlValue {
  const effect = first?.result.positions[0];
  if (!effect || first.result.subject !== "finetuned") return null;
  const { finetuning, generic } = effect.sets;
  const told = (
    { change, change_interval: { low, high }, random_change: random }: typeof finetuning,
  ) => {
    const direction = low > 0 ? "raises" : high < 0 ? "lowers" : "does not clearly change";
    const nulls = random && `; random directions ${interval([random.low, random.high], 4)}`;
    return {
      direction,
      numbers: html`${signed(change, 4)} ${interval([low, high], 4)} nats a token${nulls}`,
    };
  };
  const [own, other] = [told(finetuning), told(generic)];
  return html`Taking its component out ${own.direction} the loss on the finetuning's texts (${own.numbers}) and ${other.direction} that on
generic ones (${other.numbers}).`;
}

function agentsOf({ agents: { evaluation } }: RunResults): HtmlValue {
  if (!evaluation) return null;
  const graded = evaluation.aggregates.map((one) =>
    `${one.agent} with ${one.interactions} interactions ${percent(one.at_least_2.value)}`
  );
  return html`Share of an LLM's investigations that are graded 2 of 5 or more: ${
    joined(graded, ", ")
  }.`;
}

function recallOf({ agents: { summariser } }: RunResults): HtmlValue {
  const recalled =
    summariser?.summaries.flatMap(({ agent, recall, chance }) =>
      recall?.keyword_recall == null
        ? []
        : [`${agent} ${percent(recall.keyword_recall)} (chance ${percent(chance?.keyword_recall)})`]
    ) ?? [];
  if (recalled.length === 0) return null;
  return html`Of the topic's keywords, a fixed procedure finds in the evidence of each agent: ${
    joined(recalled, ", ")
  }.`;
}

function positionRead(run: RunResults) {
  const at = mainPosition(run);
  return mainLayer(run)?.readout?.positions.find(({ position }) => position === at);
}
