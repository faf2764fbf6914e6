import { assertEquals, assertRejects } from "@std/assert";
import type { Means, MeansState } from "../engine/activation_means.ts";
import { ResultsError, WeightsError } from "../engine/errors.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { openSafetensors } from "../engine/weights/safetensors.ts";
import { encodeSafetensors } from "../engine/weights/safetensors_writer.ts";
import type { DiffState } from "./diff.ts";
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

const sums = (documents: number, first: number): MeansState => ({
  documents,
  sum: values(2 * TOKENS * HIDDEN, first),
  norm: values(2 * TOKENS, first + 300),
});

/** Sums of some layers; the base is further than the finetuned model. */
const state = (layers: number): DiffState => ({
  base: Array.from({ length: layers }, (_, i) => sums(256, 1000 * i)),
  finetuned: Array.from({ length: layers }, (_, i) => sums(0, 1000 * i + 500)),
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

Deno.test("encodeMeans() names the positions", async () => {
  const read = async (bytes: Uint8Array) =>
    (await openSafetensors(memorySource("diff.safetensors", bytes))).metadata.positions;
  assertEquals(await read(encodeMeans([2], [means(0)])), "0,1,2");
  assertEquals(await read(encodeMeans([2], [means(0)], -3)), "-3,-2,-1");
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
  assertEquals(await decodeStates(encodeStates(state(12)), 12), state(12));
});

Deno.test("decodeStates() refuses sums that are not all there: they would count as 0", async () => {
  const whole = state(1);
  await assertRejects(() => decodeStates(encodeStates(whole), 2), WeightsError, "1.base.sum");
  const part = { dtype: "F32", shape: [1], data: values(1, 0) } as const;
  const bytes = encodeSafetensors(
    ["base.sum", "base.norm", "finetuned.sum"].map((name) => ({ name: `0.${name}`, ...part })),
    { base_documents: "1", finetuned_documents: "1" },
  );
  await assertRejects(() => decodeStates(bytes, 1), WeightsError, "0.finetuned.norm");
});

Deno.test("a file that does not say of how many documents it is, is refused", async () => {
  for (const documents of ["", "-1", "1.5", "many"]) {
    const tensor = { name: "0.delta", dtype: "F32", shape: [1], data: values(1, 0) } as const;
    const bytes = encodeSafetensors([tensor], { documents, base_documents: documents });
    await assertRejects(() => decodeStates(bytes, 1), ResultsError, `"${documents}" documents`);
    await assertRejects(() => decodeMeans(bytes, [0]), ResultsError);
  }
  await assertRejects(
    () => decodeMeans(encodeSafetensors([], { documents: "0" }), []),
    ResultsError,
  );
});
