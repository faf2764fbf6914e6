import { assertEquals, assertRejects } from "@std/assert";
import type { Means, MeansState } from "../engine/activation_means.ts";
import { ResultsError, WeightsError } from "../engine/errors.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { openSafetensors } from "../engine/weights/safetensors.ts";
import { encodeSafetensors } from "../engine/weights/safetensors_writer.ts";
import { decodeMeans, decodeStates, encodeMeans, encodeStates } from "./means_file.ts";

const TOKENS = 3;
const HIDDEN = 4;

/** Values that tell every place apart. */
const values = (length: number, first: number) =>
  Float32Array.from({ length }, (_, i) => first + i / 7);

const means = (first: number): Means => ({
  documents: 5,
  delta: values(TOKENS * HIDDEN, first),
  base: values(TOKENS * HIDDEN, first + 100),
  finetuned: values(TOKENS * HIDDEN, first + 200),
  baseNorm: values(TOKENS, first + 300),
  finetunedNorm: values(TOKENS, first + 400),
});

const state = (first: number): MeansState => ({
  documents: 256,
  sums: {
    delta: values(2 * TOKENS * HIDDEN, first),
    base: values(2 * TOKENS * HIDDEN, first + 100),
    finetuned: values(2 * TOKENS * HIDDEN, first + 200),
    baseNorm: values(2 * TOKENS, first + 300),
    finetunedNorm: values(2 * TOKENS, first + 400),
  },
});

Deno.test("encodeMeans() names its tensors after the hook, with the shapes of their contents", async () => {
  const file = await openSafetensors(
    memorySource("diff.safetensors", encodeMeans([2], [means(0)])),
  );
  const shapes = [...file.tensors].map(([name, { dtype, shape }]) => [name, dtype, [...shape]]);
  assertEquals(shapes.sort(), [
    ["blocks.2.hook_resid_post.base_mean", "F32", [TOKENS, HIDDEN]],
    ["blocks.2.hook_resid_post.base_norm", "F32", [TOKENS]],
    ["blocks.2.hook_resid_post.delta", "F32", [TOKENS, HIDDEN]],
    ["blocks.2.hook_resid_post.finetuned_mean", "F32", [TOKENS, HIDDEN]],
    ["blocks.2.hook_resid_post.finetuned_norm", "F32", [TOKENS]],
  ]);
  assertEquals(
    await file.readFloat32("blocks.2.hook_resid_post.finetuned_mean"),
    means(0).finetuned,
  );
});

Deno.test("decodeMeans() reads every layer back, bit for bit", async () => {
  const all = [means(0), means(1000)];
  const bytes = encodeMeans([4, 1], all);
  assertEquals(await decodeMeans(bytes, [4, 1]), all);
  assertEquals(await decodeMeans(bytes, [1]), [all[1]]);
  await assertRejects(() => decodeMeans(bytes, [2]), WeightsError, "blocks.2");
});

Deno.test("decodeMeans() keeps vectors of one value apart from norms", async () => {
  const narrow = { ...means(0), delta: values(TOKENS, 0), base: values(TOKENS, 1) };
  const one = { ...narrow, finetuned: values(TOKENS, 2) };
  assertEquals(await decodeMeans(encodeMeans([0], [one]), [0]), [one]);
});

Deno.test("decodeStates() gives the raw sums back in the order of the layers, past ten too", async () => {
  const states = Array.from({ length: 12 }, (_, i) => state(1000 * i));
  assertEquals(await decodeStates(encodeStates(states), 12), states);
});

Deno.test("decodeStates() refuses sums that are not all there: they would count as 0", async () => {
  const whole = state(0);
  await assertRejects(() => decodeStates(encodeStates([whole]), 2), WeightsError, "1.delta");
  const { finetunedNorm: _, ...sums } = whole.sums;
  const part = encodeStates([{ ...whole, sums: sums as MeansState["sums"] }]);
  await assertRejects(() => decodeStates(part, 1), WeightsError, "0.finetunedNorm");
});

Deno.test("a file that does not say of how many documents it is, is refused", async () => {
  for (const documents of ["", "0", "-1", "1.5", "many"]) {
    const tensor = { name: "0.delta", dtype: "F32", shape: [1], data: values(1, 0) } as const;
    const bytes = encodeSafetensors([tensor], { documents });
    await assertRejects(() => decodeStates(bytes, 1), ResultsError, `"${documents}" documents`);
    await assertRejects(() => decodeMeans(bytes, [0]), ResultsError);
  }
});
