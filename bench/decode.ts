/** How fast does a model write after 512 tokens, alone and 64 sequences at once, and is the device at work all the time? */

import { generate } from "../engine/generation/generate.ts";
import type { Edit, Transformer } from "../engine/transformer.ts";
import { benchBusy } from "./busy.ts";
import { type BenchContext, someTokens } from "./context.ts";
import { benchHost } from "./host.ts";
import { median } from "../engine/gpu/measure.ts";
import { type Row, row } from "./row.ts";
import { blockParameters, headParameters, type ShapeName, SHAPES } from "./shapes.ts";

/** What is generated from: how many sequences with one prompt, and how long. */
export interface DecodeRun {
  sequences: number;
  promptTokens: number;
  newTokens: number;
  edits?: Edit[];
}

/** Tokens/s of every sequence together after the first token, and the tokens of the first sequence. */
export async function decodeOnce(
  model: Transformer,
  { sequences, promptTokens, newTokens, edits }: DecodeRun,
): Promise<{ speed: number; ids: number[] }> {
  const prompt = someTokens(promptTokens, model.spec.vocabSize, 2);
  const arrivals: number[] = [];
  const results = await generate(model, {
    prompts: Array.from({ length: sequences }, () => prompt),
    maxNewTokens: newTokens,
    sampling: { temperature: 0, seed: 0 },
    edits,
    onTokens: () => arrivals.push(performance.now()),
  });
  const all = results.map(({ ids }) => ids.join());
  if (all.some((ids) => ids !== all[0])) {
    throw new Error("Cannot time decoding: equal sequences of one batch got different tokens");
  }
  // The first readback brings each sequence's first token.
  const seconds = (arrivals.at(-1)! - arrivals[sequences - 1]) / 1000;
  return { speed: sequences * (newTokens - 1) / seconds, ids: results[0].ids };
}

/** Each token must be the likeliest after those before it, in a pass over them all without a cache, with the same edits. */
async function checkGreedy(
  model: Transformer,
  { promptTokens, edits }: DecodeRun,
  ids: readonly number[],
): Promise<void> {
  const prompt = someTokens(promptTokens, model.spec.vocabSize, 2);
  const tokens = [...prompt, ...ids.slice(0, 4)];
  const positions = ids.slice(0, 4).map((_, i) => promptTokens - 1 + i);
  const capture = [{ hook: "logits", positions }];
  const captured = await model.forward(model.batch([tokens]), { capture, edits });
  const logits = await captured.get("logits").read();
  captured.release();
  positions.forEach((_, i) => {
    const scores = logits.subarray(i * model.spec.vocabSize, (i + 1) * model.spec.vocabSize);
    const best = scores.indexOf(Math.max(...scores));
    if (best !== ids[i]) {
      throw new Error(`Cannot time decoding: token ${i} is ${ids[i]}, a full pass has ${best}`);
    }
  });
}

/** How often subjects are timed: so many times, and on until these seconds are over. */
interface DecodeEffort {
  turns: number;
  seconds: number;
}

/** What a run of the benches takes. On software adapters it goes on: other work on the machine is in every short run there. */
export function decodeEffort({ gpu, options: { quick } }: BenchContext): DecodeEffort {
  if (quick) return { turns: 1, seconds: 0 };
  return { turns: 5, seconds: gpu.profile === "software" ? 20 : 0 };
}

/** Who writes, and from what. */
export interface DecodeSubject {
  model: Transformer;
  run: DecodeRun;
}

/** Tokens/s of each subject, the median of turns that they take; after the first, which is checked and not timed. */
export async function decodeSpeeds(
  subjects: readonly DecodeSubject[],
  { turns, seconds }: DecodeEffort,
): Promise<number[]> {
  for (const { model, run } of subjects) {
    const { ids } = await decodeOnce(model, run);
    await checkGreedy(model, run, ids);
  }
  const speeds: number[][] = subjects.map(() => []);
  const end = performance.now() + 1000 * seconds;
  for (let turn = 0; turn < turns || performance.now() < end; turn++) {
    for (const [i, { model, run }] of subjects.entries()) {
      speeds[i].push((await decodeOnce(model, run)).speed);
    }
  }
  return speeds.map(median);
}

/** Rows of single and batched decoding by a model. */
export async function benchDecode(context: BenchContext, name: ShapeName): Promise<void> {
  const { options: { quick } } = context;
  const promptTokens = quick ? 64 : 512;
  const ratio = `decode64:decode/${name}`;
  const rowsOf = (n: number) =>
    ["", "/busy", "/host"].map((kind) => `${rowName(n, name)}${kind}`).concat(ratio);
  const asked = [1, 64].filter((n) => context.wanted(rowsOf(n)).length > 0);
  if (asked.length === 0) return;
  const model = await context.model(name);
  const runs = asked.map((sequences) => ({ sequences, promptTokens, newTokens: quick ? 17 : 49 }));
  const subjects = runs.map((run) => ({ model, run }));
  const values = await decodeSpeeds(subjects, decodeEffort(context));
  for (const [i, run] of runs.entries()) {
    const { sequences } = run;
    context.add(decodeRow(context, name, sequences, values[i]));
    await benchBusy(context, rowName(sequences, name), () => decodeOnce(model, run));
    await benchHost(context, rowName(sequences, name), model, run);
  }
  if (values.length < 2) return;
  const note = "tokens/s of 64 sequences to those of one";
  context.add(row(ratio, values[1] / values[0], "×", { aim: "≥ 15", note }));
}

const rowName = (sequences: number, name: ShapeName) =>
  `decode${sequences === 1 ? "" : sequences}/${name}`;

/** The ceiling is reading every weight once a step at the copy's rate. */
function decodeRow(
  { ceilings: { copy } }: BenchContext,
  name: ShapeName,
  sequences: number,
  speed: number,
): Row {
  const bytes = 2 * (blockParameters(SHAPES[name]) + headParameters(SHAPES[name]));
  const ceiling = copy === undefined ? null : sequences * copy * 1e9 / bytes;
  const note = "the argmax of full passes";
  return row(rowName(sequences, name), speed, "tokens/s", { ceiling, timed: "wall", note });
}
