/** The numbers of steering, similarity, causal effect, summary and mixing, from what was kept of each. */

import type { Means } from "../../engine/activation_means.ts";
import { type CausalDocuments, causalEffects, type CausalResult } from "../causal/causal.ts";
import { mixingPlot } from "../mixing_plot.ts";
import { mixingRow } from "../mixing_rows.ts";
import { vectorNorm } from "../patchscope.ts";
import { type PartFiles, within } from "../report/run_files.ts";
import type { RunResults } from "../report/run_results.ts";
import type { Steering } from "../run_steer.ts";
import { compareTexts, meansOfScores, type SimilarityKept } from "../similarity/similarity.ts";
import { tfIdfOf } from "../similarity/tf_idf.ts";
import { COHERENT_SHARE, coherentShare, type GradedStrength, LEVELS } from "../steering/steer.ts";
import { searchStrength, STRONGEST } from "../steering/strength.ts";
import { type PipelineSummary, summarize } from "../summary.ts";
import type { Derived } from "./problem.ts";
import { type GraderSettings, replayed } from "./replay.ts";

/** The strength of every position, from the shares of coherent texts at those that were tried. */
export async function deriveSteering(part: PartFiles): Promise<Derived[]> {
  const derived: Derived[] = [];
  for (const { file, parts: [at] } of part.matching(/^steer_(\d+_-?\d+)\.json$/)) {
    const { alpha, searches } = await part.json<Steering>(file);
    const found = part.files.includes(`alpha_${at}.json`) && searches.length > 0;
    if (!found) continue;
    const settings = part.manifest.steps[`alpha_${at}`].settings as unknown as {
      decisions: number;
      grader: GraderSettings;
    };
    derived.push(...await coherenceNumbers(part, { at, searches, grader: settings.grader }));
    derived.push({
      file: within(part, file),
      stored: { alpha, searches },
      derived: await alphaOf(searches, settings.decisions),
    }, {
      file: within(part, `alpha_${at}.json`),
      stored: await part.json(`alpha_${at}.json`).then((kept) => {
        const { alpha, searches } = kept as Steering;
        return { alpha, searches };
      }),
      derived: { alpha, searches },
    });
  }
  return derived;
}

/** The shares from the texts, and what an LLM said of each text from its answers. */
async function coherenceNumbers(
  part: PartFiles,
  { at, searches, grader }: {
    at: string;
    searches: Steering["searches"];
    grader: GraderSettings;
  },
): Promise<Derived[]> {
  const file = `search_${at}.json`;
  const graded = await part.json<GradedStrength[]>(file);
  const derived: Derived[] = [{
    file: within(part, `steer_${at}.json`),
    stored: searches.flatMap(({ prompt, rounds }) =>
      rounds.flatMap(({ strengths, coherent }) =>
        strengths.map((strength, i) => ({ prompt, strength, coherent: coherent[i] }))
      )
    ),
    derived: graded.map(({ prompt, strength, texts }) => ({
      prompt,
      strength,
      coherent: coherentShare(texts),
    })),
  }];
  if (grader.grader === "offline") return derived;
  const judge = await replayed(part, grader);
  for (const { prompt, texts } of graded) {
    const asked = texts.map(({ text }) => ({ prompt, promptIds: [], text, ids: [] }));
    derived.push({
      file: within(part, file),
      stored: texts.map(({ coherent }) => coherent),
      derived: await judge.areCoherent(asked),
    });
  }
  return derived;
}

async function alphaOf(searches: Steering["searches"], decisions: number) {
  const again: Steering["searches"] = [];
  for (const { prompt, rounds } of searches) {
    const first = again[0]?.strength;
    const range = first === undefined
      ? { highest: STRONGEST, decisions }
      : { highest: Math.min(2 * first, STRONGEST), decisions: Math.ceil(decisions / 2) };
    let round = 0;
    const kept = () => Promise.resolve(rounds[round++]?.coherent ?? []);
    const passes = (share: number) => share >= COHERENT_SHARE;
    again.push({ prompt, ...await searchStrength({ ...range, levels: LEVELS }, kept, passes) });
  }
  const alpha = again.reduce((sum, { strength }) => sum + strength, 0) / again.length;
  return { alpha, searches: again };
}

/** Losses to effects. δ's length is taken from the comparison, where it is part of the run. */
export async function deriveCausal(
  part: PartFiles,
  means: { at: (layer: number) => Means | undefined; firstPosition: number } | undefined,
): Promise<Derived[]> {
  const derived: Derived[] = [];
  for (const { file } of part.matching(/^causal_\d+_(?:base|zero)(?:_reverse)?\.json$/)) {
    const result = await part.json<CausalResult>(file);
    const kept = await part.json<CausalDocuments>(file.replace(".json", "_documents.json"));
    const effects = causalEffects(kept, Number(part.said("seed")));
    const from = means?.at(result.layer);
    const lengths = result.positions.map(({ position, delta_norm }) => {
      if (!from) return delta_norm;
      const hidden = from.delta.length / from.finetunedNorm.length;
      const row = position - means!.firstPosition;
      return vectorNorm(from.delta.subarray(row * hidden, (row + 1) * hidden));
    });
    derived.push({
      file: within(part, file),
      stored: result.positions,
      derived: effects.map((effect, i) => ({ ...effect, delta_norm: lengths[i] })),
    });
  }
  return derived;
}

/** Texts to cosines: from the texts themselves where words are compared, else from each text's own score. */
export async function deriveSimilarity(outer: PartFiles, run: RunResults): Promise<Derived[]> {
  const kept = await outer.jsonIfListed<({ position: number } & SimilarityKept)[]>(
    "similarity_kept.json",
  );
  if (!kept) return [];
  const derived: Derived[] = [];
  for (const [i, stored] of run.similarity.entries()) {
    const { scores, finetuning, generic, embedder } = kept[i];
    const { steered, unsteered, difference, confidence, generic: others } = stored;
    derived.push({
      file: "similarity.json",
      stored: { steered, unsteered, difference, confidence, generic: others },
      derived: meansOfScores(scores, stored.seed),
    });
    const texts = run.steering.find(({ result }) => result.position === stored.position)?.result;
    if (embedder === null || !texts) continue;
    const { fitted, holding } = embedder as unknown as {
      fitted: number;
      holding: [string, number][];
    };
    const again = await compareTexts({
      steered: texts.samples.flatMap((sample) => sample.steered),
      unsteered: texts.samples.flatMap((sample) => sample.unsteered),
      finetuning,
      generic,
      embedder: tfIdfOf({ fitted, holding: new Map(holding) }),
      seed: stored.seed,
      references: Math.max(finetuning.length, generic.length),
    });
    derived.push(
      { file: "similarity.json", stored, derived: { ...stored, ...again.found } },
      { file: "similarity_kept.json", stored: kept[i], derived: { ...kept[i], ...again.kept } },
    );
  }
  return derived;
}

/** The summary, from the steps' files. */
export function deriveSummary(run: RunResults): Derived[] {
  const { summary, diff } = run;
  if (!summary || !diff) return [];
  const main = diff.layers.find(({ layer }) => layer === summary.layer)!;
  const causal = run.causal.find(({ result }) => result.layer === summary.layer)?.result;
  const again: PipelineSummary = summarize({
    plan: {
      base: summary.base,
      finetuned: summary.finetuned,
      description: summary.description ?? undefined,
      leftOut: summary.left_out,
    },
    folder: summary.results,
    seed: summary.seed,
    positions: summary.positions.map(({ position }) => position),
    diff: { results: [main.readout!], documents: diff.documents },
    relevance: main.graded?.relevance,
    steer: run.steering.length > 0 ? run.steering.map(({ result }) => result) : undefined,
    similarity: run.similarity.length > 0 ? run.similarity : undefined,
    causal,
  });
  return [{ file: "summary.json", stored: summary, derived: again }];
}

/** The rows of a mixing experiment from the summaries of its runs, and the plot from the rows. */
export async function deriveMixing(outer: PartFiles, run: RunResults): Promise<Derived[]> {
  const { mixing, parts } = run;
  if (!mixing) return [];
  const rows = [];
  for (const { ratio, organism } of mixing.rows) {
    const part = parts.find(({ name }) => name === `ratio_${ratio}`);
    const summary = await part?.jsonIfListed<PipelineSummary>("summary.json");
    rows.push(summary ? mixingRow(summary, { ratio, organism }) : null);
  }
  return [
    { file: "mixing.json", stored: mixing.rows, derived: rows },
    {
      file: "mixing.svg",
      stored: new TextDecoder().decode(await outer.bytes("mixing.svg")),
      derived: mixingPlot(mixing.rows),
    },
  ];
}
