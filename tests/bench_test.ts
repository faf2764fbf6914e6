/** The benches' own arithmetic, and that a wrong answer is not timed. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { busyShare } from "../bench/busy.ts";
import { checkModel } from "../bench/check_model.ts";
import { BenchContext, someTokens } from "../bench/context.ts";
import { benchFast, benchFastProducts, compareLogits } from "../bench/fast.ts";
import { UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { type Clock, median, medians } from "../engine/gpu/measure.ts";
import { Tuning } from "../engine/gpu/tuning.ts";
import { addInPlace } from "../engine/ops/rows.ts";
import { hostTime } from "../bench/host.ts";
import { blocksOf, contentOf, withBlock } from "../bench/page.ts";
import { printRows } from "../bench/print_rows.ts";
import { FREE_ORDERS } from "../bench/lab/free/orders.ts";
import { markdownRows, reached, type Row, row } from "../bench/row.ts";
import { passFlops, SHAPES } from "../bench/shapes.ts";
import { HAS_HALF } from "./fast_gpu.ts";
import { fixtureModel } from "./helpers.ts";
import { closeTestGpus, testGpu } from "./test_gpu.ts";

Deno.test.afterAll(closeTestGpus);

Deno.test("A row knows its share of the ceiling, and whether it is what it should be", () => {
  const half = row("x", 5, "GB/s", { ceiling: 10 });
  assertEquals(half.share, 0.5);
  assertEquals(reached(half), undefined);
  assertEquals([0.6, 0.59].map((value) => reached(row("x", value, "×", { aim: "≥ 0.6" }))), [
    true,
    false,
  ]);
  assertEquals([1.02, 1.03].map((value) => reached(row("x", value, "×", { aim: "≤ 1.02" }))), [
    true,
    false,
  ]);
  const lines = markdownRows([half]).split("\n");
  assertEquals(lines[2], "| x | 5 | GB/s | 10 | 50 % |  |  |  |");
});

Deno.test("Subjects take turns, each as often as it needs, and medians come of it", async () => {
  const order: string[] = [];
  const subject = (name: string, milliseconds: number) => ({
    run: (repeats: number) => {
      order.push(`${name}${repeats}`);
      return Promise.resolve(milliseconds * repeats);
    },
  });
  const times = await medians([subject("a", 5), subject("b", 20)], { turns: 2, least: 20 });
  assertEquals(times, [5, 20]);
  assertEquals(order, ["a1", "a1", "a9", "b1", "b1", "a4", "b1", "a4", "b1"]);
  assertEquals([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
});

Deno.test("Rows are printed however the work ends, with a word on why there are no more", async () => {
  const gpu = { adapter: { description: "a GPU" }, backend: "deno", tuning: Tuning.none } as Gpu;
  const half = [row("x", 5, "GB/s")];
  const endless = new Promise<void>(() => {});
  const printed = async (
    { rows = half, work = Promise.resolve(), limit, signal = new AbortController().signal }: {
      rows?: Row[];
      work?: Promise<void>;
      limit?: number;
      signal?: AbortSignal;
    },
  ) => {
    const lines: string[] = [];
    const options = { limit, json: true, markdown: false };
    const error = await printRows(gpu, rows, work, options, signal, (line) => lines.push(line))
      .then(() => undefined, (error) => error.message);
    return { error, ...(lines.length > 0 && JSON.parse(lines[0])) };
  };
  const common = { adapter: "a GPU", backend: "deno", tuned: 0, rows: half };
  assertEquals(await printed({}), { error: undefined, ...common });
  const failed = Promise.reject(new Error("its answer is wrong"));
  const wrong = { error: "its answer is wrong", ...common, cut: "its answer is wrong" };
  assertEquals(await printed({ work: failed }), wrong);
  const signal = AbortSignal.abort(new Error("Interrupted"));
  const interrupted = { error: "Interrupted", ...common, cut: "Interrupted" };
  assertEquals(await printed({ work: endless, signal }), interrupted);
  const timer = setTimeout(() => {}, 10_000); // a timeout signal keeps nothing awake
  const late = { error: undefined, ...common, cut: "the limit of 0.01 s was reached" };
  assertEquals(await printed({ work: endless, limit: 0.01 }), late);
  const none = await printed({ work: endless, limit: 0.01, rows: [] });
  assertEquals(none, { error: "Cannot measure anything in 0.01 s" });
  clearTimeout(timer);
});

Deno.test("The device is at work for a share of the time, and nothing is timed after that", async () => {
  const gpu = await testGpu("software");
  const [x, y] = [1, 2].map((value) =>
    gpu.tensorFrom(new Float32Array(1 << 16).fill(value), [1 << 16])
  );
  const work = async () => {
    const recorder = gpu.record();
    for (let i = 0; i < 50; i++) addInPlace(recorder, x.buffer, y.buffer, x.length);
    await recorder.submit();
    await gpu.finish();
  };
  const { share, ms } = await busyShare(gpu, work);
  assertEquals(share > 0, gpu.device.features.has("timestamp-query"));
  assert(share <= 1 && ms > 0);
  const idle = await busyShare(gpu, () => gpu.finish());
  assertEquals(idle.share, 0);
  const recorder = gpu.record();
  assertEquals(recorder.timer, undefined);
  recorder.close();
  for (const tensor of [x, y]) tensor.release();
});

Deno.test("The host's time is that of steps as they are decoded, with what the cache holds before", async () => {
  const gpu = await testGpu("discrete");
  const model = await fixtureModel(gpu, "qwen3_tied");
  for (const sequences of [1, 3]) {
    const { ms, dispatches } = await hostTime(model, { sequences, promptTokens: 8 }, 1);
    // Embedding, five a layer, final norm and head.
    assertEquals(dispatches, 3 + 5 * model.spec.layers);
    assert(ms > 0);
  }
  model.destroy();
});

Deno.test("A block of a page is found and replaced, and nothing beside it", () => {
  const page = "# A page\n\n<!-- a: run a -->\nold\n<!-- /a -->\n\nText.\n\n" +
    "<!-- b-2: run b | sort -->\n<!-- /b-2 -->\n";
  const blocks = blocksOf(page);
  assertEquals(blocks.map(({ name, command }) => [name, command]), [
    ["a", "run a"],
    ["b-2", "run b | sort"],
  ]);
  const measured = { date: "2026-11-25", commit: "abc" };
  const said = "`run b | sort`, 2026-11-25, abc:\n\n```\nno table\n```";
  assertEquals(contentOf("run b | sort", "no table\n", measured), said);
  const once = withBlock(page, blocks[1], "first");
  const twice = withBlock(withBlock(once, blocks[1], said), blocks[0], "| x |");
  assertEquals(withBlock(withBlock(twice, blocks[0], "| x |"), blocks[1], said), twice);
  const expected = page.replace("old", "\n| x |\n").replace(
    "sort -->\n",
    `sort -->\n\n${said}\n\n`,
  );
  assertEquals(twice, expected);
  assertThrows(() => blocksOf("<!-- a: run a -->\n"), UsageError, 'block "a" has 0 ends');
});

Deno.test("The free orders of sums are made from the kernels as they are", async () => {
  for (const [kernel, orders] of Object.entries(FREE_ORDERS)) {
    const code = await Deno.readTextFile(new URL(`../shaders/${kernel}.wgsl`, import.meta.url));
    const codes = orders.map((order) => order.of(code));
    assertEquals(new Set([code, ...codes]).size, orders.length + 1, kernel);
  }
});

Deno.test("The operations of a pass are counted from its shapes", () => {
  const { hidden_size: h, intermediate_size: wide, vocab_size: vocab } = SHAPES.tiny;
  const block = h * h + 2 * h * 32 + h * h + 3 * h * wide; // q, k and v, o, the feed-forward layer
  const pairs = 1 + 2 + 3;
  assertEquals(passFlops(SHAPES.tiny, 3, 1), 2 * (2 * block * 3 + 4 * 64 * pairs) + 2 * h * vocab);
});

Deno.test("A model is timed when its logits agree with float64, and refused when not", async () => {
  const gpu = await testGpu("software");
  const folder = await Deno.makeTempDir();
  try {
    const options = { only: ["a/*", "b"], models: [], quick: true, folder };
    const context = new BenchContext(gpu, {} as Clock, options);
    assertEquals(context.wanted(["a/x", "a", "b", "bc", "xb"]), ["a/x", "b"]);
    const model = await context.model("tiny");
    const tokens = someTokens(12, SHAPES.tiny.vocab_size, 1);
    assertEquals((await checkModel(context, "tiny", model, tokens)).slice(0, 7), "float64");
    const { linears } = model.weights.blocks[0];
    linears["mlp.down_proj"] = {
      weight: { ...linears["mlp.down_proj"].weight, dtype: 1 }, // bf16 read as f16
    };
    await assertRejects(() => checkModel(context, "tiny", model, tokens), Error, "are off by");
    context.drop();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Fast mode is timed where it is asked for and its logits are near those of f32", {
  ignore: !HAS_HALF,
}, async () => {
  const gpu = await testGpu("software");
  const folder = await Deno.makeTempDir();
  try {
    const rowsOf = async (...only: string[]) => {
      const options = { only, models: [], quick: true, folder };
      const context = new BenchContext(gpu, {} as Clock, options);
      await benchFast(context, "tiny");
      await benchFastProducts(context);
      return context.rows.map(({ name, unit }) => `${name} ${unit}`);
    };
    // On CPU cores it takes long: other patterns do not bring it.
    assertEquals([await rowsOf(), await rowsOf("prefill*"), await rowsOf("matmul*")], [[], [], []]);
    assertEquals(await rowsOf("prefill:fast/tiny"), ["prefill:fast/tiny ×"]);
    const product = "matmul:fast/512x512x512";
    assertEquals(await rowsOf(product), [`${product} ×`]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const full = Float32Array.of(1, -2, 3);
  const said = compareLogits("x", full, Float32Array.of(1, -2, 3.01));
  assertEquals(said, "off by 3e-3, the same token is the likeliest");
  for (const wrong of [[1, -2, 4], [1, -2, NaN]]) {
    assertThrows(() => compareLogits("x", full, Float32Array.from(wrong)), Error, "are off by");
  }
});
