import { assertEquals } from "@std/assert";
import { assertSameBits, closeTestGpus, normals, testGpu } from "../../tests/test_gpu.ts";
import { Gpu } from "../gpu/gpu.ts";
import { recordLogprobs } from "./logprobs.ts";
import { topK } from "./ranking.ts";
import { argmax, keptFloors, sampleTokens, type Sampling, uploadRows } from "./sampling.ts";
import { tokenLossRows } from "./token_loss.ts";

Deno.test.afterAll(closeTestGpus);

const TOP = 5;

/** What every kernel of long rows makes of `x`. */
async function results(gpu: Gpu, x: Float32Array<ArrayBuffer>, [rows, width]: [number, number]) {
  const recorder = gpu.record();
  const logits = gpu.tensorFrom(x, [rows, width]);
  const ids = gpu.tensorFrom(Uint32Array.from({ length: rows }, (_, r) => r * 31 % width), [rows]);
  const places = gpu.tensorFrom(Uint32Array.from({ length: rows }, (_, r) => r), [rows]);
  const [losses, tokens, history] = [rows, rows, rows].map((count) => gpu.tensor([count]));
  const logprobs = gpu.tensor([2, rows, 1 + TOP, 2]);
  tokenLossRows(recorder, { logits, targets: ids.buffer, losses: losses.buffer, first: 0 });
  for (const step of [0, 1]) {
    const args = { logits, ids: ids.buffer, places: places.buffer, top: TOP, out: logprobs.buffer };
    recordLogprobs(recorder, { ...args, step });
  }
  const ranked = topK(recorder, logits, TOP);
  const best = argmax(recorder, logits);
  const sampling: Sampling = { temperature: 1, topK: 300, topP: 0.8, seed: 3 };
  const set = uploadRows(
    recorder,
    Array.from({ length: rows }, (_, slot) => ({ slot, stream: slot, step: 0, sampling })),
  );
  const floors = keptFloors(recorder, logits, best, set);
  const state = { seen: ids.buffer, words: 0, ids: tokens.buffer, history: history.buffer };
  sampleTokens(recorder, logits, set, state, 0);
  const { kernels } = recorder;
  await recorder.submit();
  const outs = [losses, logprobs, ranked, best, floors, tokens];
  const data = (await gpu.read(outs)).map((bytes) => new Float32Array(bytes));
  for (const tensor of [logits, ids, places, history, ...outs]) tensor.release();
  return { data, kernels };
}

const throughTexels = ({ kernels }: Awaited<ReturnType<typeof results>>) =>
  kernels.filter(({ constants }) => constants.TEXELS === 1).map(({ name }) => name).sort();

const ALL = ["argmax", "kth_largest", "logprobs", "nucleus", "sample", "token_loss", "top_k"];

Deno.test("rows go through textures on software adapters, in parts too, with the bits of buffers", async () => {
  const gpus = [await testGpu("software"), await testGpu("discrete")];
  for (
    const { shape, texels } of [
      { shape: [3, 2048], texels: [] }, // not worth a copy
      { shape: [17, 2050], texels: ALL }, // rows that begin amid a texel
      { shape: [1102, 2050], texels: ALL }, // more than one texture holds
      { shape: [5, 40_001], texels: ALL },
    ] satisfies { shape: [number, number]; texels: string[] }[]
  ) {
    const x = normals(1, shape[0] * shape[1]).map((value) => 4 * value);
    const [software, discrete] = [
      await results(gpus[0], x, shape),
      await results(gpus[1], x, shape),
    ];
    software.data.forEach((bits, i) => assertSameBits(bits, discrete.data[i], `${shape}, ${i}`));
    assertEquals(throughTexels(software), texels, `${shape}`);
    assertEquals(throughTexels(discrete), []);
  }
});

Deno.test("where there is no memory for a texture, rows are read from their buffer", async () => {
  using gpu = await Gpu.open({ profile: "software", memoryBudget: 1 << 20 });
  const shape: [number, number] = [17, 2050];
  const x = normals(2, shape[0] * shape[1]);
  const found = await results(gpu, x, shape);
  assertEquals(throughTexels(found), []);
  const expected = await results(await testGpu("discrete"), x, shape);
  found.data.forEach((bits, i) => assertSameBits(bits, expected.data[i], `${i}`));
});

Deno.test("a part begins with a texel, and a row that no texture holds four times is read from its buffer", async () => {
  const gpu = await testGpu("software");
  const width = Math.floor(gpu.texels.largest / 4 / 3); // not a whole number of texels
  const dispatched = (rows: number, width: number) => {
    const recorder = gpu.record();
    const x = gpu.tensor([rows, width]);
    const best = argmax(recorder, x);
    const { dispatches, kernels: [{ constants }] } = recorder;
    recorder.close();
    for (const tensor of [x, best]) tensor.release();
    return [dispatches, constants.TEXELS];
  };
  assertEquals(dispatched(3, width), [1, 1]);
  assertEquals(dispatched(4, width), [1, 0]);
  assertEquals(dispatched(9, gpu.texels.largest / 4 / 4), [3, 1]);
});
