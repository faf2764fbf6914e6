/** What does a hook cost: none, one that is captured, one that edits? */

import type { Edit, ForwardRequest, Transformer } from "../engine/transformer.ts";
import { type BenchContext, someTokens } from "./context.ts";
import { decodeEffort, decodeSpeeds } from "./decode.ts";
import { expect } from "./kernels/case.ts";
import { medians } from "../engine/gpu/measure.ts";
import { row } from "./row.ts";

const LAST_LOGITS = { hook: "logits", positions: [-1] };

/** Rows of prefill with each request, of how many dispatches it takes, and of decoding with an edit. */
export async function benchHooks(context: BenchContext): Promise<void> {
  const name = context.options.models[0];
  const wants = (part: string) =>
    ["none", "capture", "edit", "edit:none"].some((kind) => context.wants(`hooks/${part}/${kind}`));
  const parts = ["passes", "dispatches", "decode"].filter(wants);
  if (parts.length === 0) return;
  const model = await context.model(name);
  const middle = `blocks.${model.spec.layers >> 1}.hook_resid_post`;
  const vector = new Float32Array(model.spec.hiddenSize).fill(0.01);
  const edit: Edit = { hook: middle, op: "add", vector };
  const requests: Record<string, ForwardRequest> = {
    none: { capture: [LAST_LOGITS] },
    capture: { capture: [LAST_LOGITS, middle] },
    edit: { capture: [LAST_LOGITS], edits: [edit] },
  };
  await checkHooks(model, middle, edit);
  if (parts.includes("passes")) await benchPasses(context, model, requests);
  if (parts.includes("dispatches")) countDispatches(context, model, requests);
  if (parts.includes("decode")) await benchEditedDecode(context, model, edit);
}

/** The capture has what the edit adds, and no more. */
async function checkHooks(model: Transformer, hook: string, edit: Edit): Promise<void> {
  const batch = model.batch([someTokens(8, model.spec.vocabSize, 3)]);
  const read = async (edits: Edit[]) => {
    const captured = await model.forward(batch, { capture: [hook], edits });
    const values = await captured.get(hook).read();
    captured.release();
    return values;
  };
  const [plain, edited] = [await read([]), await read([edit])];
  const { vector } = edit;
  const right = plain.every((x, i) => edited[i] === Math.fround(x + vector[i % vector.length]));
  expect(right, "hooks");
}

async function benchPasses(
  context: BenchContext,
  model: Transformer,
  requests: Record<string, ForwardRequest>,
): Promise<void> {
  const { clock, effort, options: { quick } } = context;
  const batch = model.batch([someTokens(quick ? 64 : 512, model.spec.vocabSize, 3)]);
  const kinds = Object.keys(requests);
  const times = await medians(
    kinds.map((kind) =>
      clock.subject((recorder) => model.record(recorder, batch, requests[kind]).release())
    ),
    effort,
  );
  const { timed } = clock;
  kinds.forEach((kind, i) => {
    context.add(row(`hooks/passes/${kind}`, batch.tokens / times[i] * 1000, "tokens/s", {
      timed,
      ceiling: batch.tokens / times[0] * 1000,
      note: "v + the edit's vector, to the bit",
    }));
  });
}

/** A hook that nobody uses must cost none: a pass without any has as many as one that was never asked. */
function countDispatches(
  context: BenchContext,
  model: Transformer,
  requests: Record<string, ForwardRequest>,
): void {
  const batch = model.batch([[1]]);
  for (const [kind, request] of Object.entries(requests)) {
    const recorder = model.gpu.record();
    model.record(recorder, batch, request).release();
    const { dispatches } = recorder;
    recorder.close();
    const note = `of one token through ${model.spec.layers} layers`;
    context.add(row(`hooks/dispatches/${kind}`, dispatches, "dispatches", { note }));
  }
}

async function benchEditedDecode(
  context: BenchContext,
  model: Transformer,
  edit: Edit,
): Promise<void> {
  const { quick } = context.options;
  const run = { sequences: 1, promptTokens: quick ? 64 : 256, newTokens: quick ? 17 : 49 };
  const subjects = [[], [edit]].map((edits) => ({ model, run: { ...run, edits } }));
  const [plain, edited] = await decodeSpeeds(subjects, decodeEffort(context));
  const timed = "wall";
  context.add(row("hooks/decode/none", plain, "tokens/s", { timed }));
  context.add(row("hooks/decode/edit", edited, "tokens/s", { timed, ceiling: plain }));
  const note = "time of decoding with one edit to that without";
  context.add(row("hooks/decode/edit:none", plain / edited, "×", { aim: "≤ 1.02", note }));
}
