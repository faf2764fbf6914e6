/**
 * The method on the embedded organisms against Hugging Face's code: 1000 documents of 16 tokens, every organism. The
 * base's activations are the same for all and are computed once.
 */

import { assert, assertEquals } from "@std/assert";
import {
  ActivationSums,
  type Means,
  meansOf,
  type MeansState,
} from "../../engine/activation_means.ts";
import { Gpu } from "../../engine/gpu/gpu.ts";
import type { Ranked } from "../../engine/ops/ranking.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { typicalNorm } from "../../lens/diff.ts";
import { logitLens } from "../../lens/logit_lens.ts";
import { patchscope, PATCHSCOPE_PROMPTS } from "../../lens/patchscope.ts";
import { EMBEDDED, embeddedBase, heldOut, LAYER, organism } from "../embedded_helpers.ts";
import { assertClose, openTensors, readJson } from "../helpers.ts";

const HOOK = `blocks.${LAYER}.hook_resid_post`;
const POSITIONS = 16;
const DOCUMENTS = 1000;
const DOCUMENTS_PER_BATCH = 125;
/** Positions that the references read with the lens and with Patchscope. */
const READ_POSITIONS = 5;
/** Tokens whose reference probabilities are nearer than this may change places. */
const TIE = 1e-6;

/** As in `reference.json`: text, probability (rounded), id. */
type Listed = [string, number, number][];

interface OrganismReference {
  ft_norm_scale: number;
  lens_top20: Listed[];
  lens_bottom20: Listed[];
  patch_top20_scale1: Listed[];
}

/** Raw sums of one model over all documents. */
async function sumsOf(gpu: Gpu, model: Transformer, batches: Uint32Array[][]): Promise<MeansState> {
  const sums = new ActivationSums(gpu, POSITIONS, model.spec.hiddenSize);
  for (const documents of batches) {
    const recorder = gpu.record();
    const pass = model.record(recorder, model.batch(documents), { capture: [HOOK] });
    sums.add(recorder, pass.get(HOOK), documents.length);
    pass.release();
    await recorder.submit();
  }
  const [state] = await ActivationSums.states(gpu, [sums]);
  sums.release();
  return state;
}

/** The first tokens of a ranking are those of the reference, in its order; `probabilities` tell which are tied. */
function assertTokens(
  found: readonly Ranked[],
  listed: Listed,
  probabilities: Float32Array,
  what: string,
) {
  assertEquals(listed.length, 20);
  assertEquals(new Set(found.map(({ id }) => id)).size, found.length);
  listed.forEach(([text, , id], rank) => {
    const other = found[rank].id;
    assert(
      other === id || Math.abs(probabilities[other] - probabilities[id]) <= TIE,
      `${what}: rank ${rank} is token ${other}, expected ${id} ("${text}")`,
    );
  });
  const values = found.slice(0, 20).map(({ value }) => value);
  const expected = listed.map(([, , id]) => probabilities[id]);
  assertClose(values, expected, 1e-3, `${what}: probabilities`);
}

function softmax(logits: Float32Array): Float32Array {
  const top = Math.max(...logits);
  const terms = Float64Array.from(logits, (x) => Math.exp(x - top));
  const sum = terms.reduce((a, b) => a + b);
  return Float32Array.from(terms, (x) => x / sum);
}

Deno.test("all organisms: mean differences, logit lens and Patchscope", async (t) => {
  using gpu = await Gpu.open();
  const { base, tokenizer } = await embeddedBase(gpu);
  const documents = await heldOut(tokenizer, DOCUMENTS);
  assertEquals(documents.length, DOCUMENTS);
  const batches = Array.from(
    { length: DOCUMENTS / DOCUMENTS_PER_BATCH },
    (_, i) => documents.slice(i * DOCUMENTS_PER_BATCH, (i + 1) * DOCUMENTS_PER_BATCH),
  );
  const { transformer } = base;
  const ours = await sumsOf(gpu, transformer, batches);
  const prompts = PATCHSCOPE_PROMPTS.map((prompt) => tokenizer.encode(prompt, { special: true }));
  const reference: { organisms: Record<string, OrganismReference> } = await readJson(
    `${EMBEDDED}/reference.json`,
  );
  const names = Object.keys(reference.organisms);
  assertEquals(names.length, 10);

  for (const name of names) {
    await t.step(name, async () => {
      const expected = reference.organisms[name];
      const tensors = await openTensors(`${EMBEDDED}/reference/${name}.safetensors`);
      const tuned = await organism(gpu, base, name);
      const found: Means = meansOf(ours, await sumsOf(gpu, tuned.transformer, batches));

      const width = transformer.spec.hiddenSize;
      const row = (values: Float32Array, j: number) => values.slice(j * width, j * width + width);
      for (
        const [stream, tensor] of [
          ["delta", "delta"],
          ["base", "base_mean"],
          ["finetuned", "ft_mean"],
        ] as const
      ) {
        const want = await tensors.readFloat32(tensor);
        for (let j = 0; j < POSITIONS; j++) {
          assertClose(row(found[stream], j), row(want, j), 1e-4, `${stream} at position ${j}`);
        }
      }
      const norm = typicalNorm(found.finetunedNorm);
      assertClose([norm], [expected.ft_norm_scale], 1e-5, "typical norm");

      const vectors = Array.from({ length: READ_POSITIONS }, (_, j) => row(found.delta, j));
      const vocab = transformer.spec.vocabSize;
      const logits = await tensors.readFloat32("lens_logits");
      const patched = await tensors.readFloat32("patch_probs_scale1");
      const lens = await logitLens(tuned.transformer, vectors);
      const scales = await patchscope(tuned.transformer, vectors, {
        layer: LAYER,
        prompts,
        norm,
        scales: [1],
      });
      for (let j = 0; j < READ_POSITIONS; j++) {
        const scores = logits.subarray(j * vocab, j * vocab + vocab);
        // The final norm is odd, so the logits of −δ are those of δ with the other sign.
        const [top, bottom] = [softmax(scores), softmax(scores.map((x) => -x))];
        assertTokens(lens[j].top, expected.lens_top20[j], top, `lens at ${j}`);
        assertTokens(lens[j].bottom, expected.lens_bottom20[j], bottom, `lens of −δ at ${j}`);
        const probabilities = patched.subarray(j * vocab, j * vocab + vocab);
        const { tokens } = scales[j][0];
        assertTokens(tokens, expected.patch_top20_scale1[j], probabilities, `Patchscope at ${j}`);
      }
      tuned.transformer.destroy();
    });
  }
});
