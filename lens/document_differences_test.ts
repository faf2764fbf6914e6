import { assert, assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import { ModelShelf } from "../models/model_shelf.ts";
import { resolveSource } from "../models/source.ts";
import { meanDifference } from "./diff.ts";
import { documentDifferences } from "./document_differences.ts";
import type { Selection } from "./documents.ts";
import { countedMean } from "./resample.ts";

/** Documents of 7 or 8 tokens, of which the last 6 are compared; the first of those is called −2. */
const SELECTION: Selection = {
  tokens: Array.from(
    { length: 9 },
    (_, d) => Uint32Array.from({ length: 7 + d % 2 }, (_, i) => (5 + 37 * d + 11 * i) % 2000),
  ),
  positions: 6,
  firstPosition: -2,
  indices: [],
  dropped: 0,
  reasons: {},
  missing: 0,
};

const LAYERS = [1, 3];
const POSITIONS = [-1, 2];

async function withPair(
  finetuned: string,
  run: (gpu: Gpu, shelf: ModelShelf) => Promise<void>,
  memoryBudget?: number,
): Promise<void> {
  using gpu = await Gpu.open({ memoryBudget });
  using shelf = new ModelShelf(gpu);
  await shelf.add("base", await resolveSource("embedded:base"));
  await shelf.add("finetuned", await resolveSource(finetuned), "base");
  await run(gpu, shelf);
}

Deno.test("documentDifferences() are what the mean difference is the mean of", () =>
  withPair("embedded:cake_bake", async (gpu, shelf) => {
    const models = shelf.pair("base", "finetuned");
    const found = await documentDifferences(gpu, models, SELECTION, {
      layers: LAYERS,
      positions: POSITIONS,
    });
    assertEquals([found.documents, found.hidden], [9, 192]);
    const { tokens: documents, positions } = SELECTION;
    const means = await meanDifference(gpu, { models, documents, positions, layers: LAYERS });
    LAYERS.forEach((layer, l) => {
      for (const position of POSITIONS) {
        const rows = found.at(layer, position);
        assertEquals(rows.length, 9 * 192);
        const mean = countedMean(rows, new Uint32Array(9).fill(1));
        const row = position - SELECTION.firstPosition;
        const delta = means[l].delta.subarray(row * 192, (row + 1) * 192);
        const error = Math.hypot(...mean.map((value, i) => value - delta[i]));
        assert(error < 1e-6 * Math.hypot(...delta), `${layer} ${position}: ${error}`);
        // Each document has its own.
        assert(Math.hypot(...rows.subarray(0, 192).map((v, i) => v - rows[192 + i])) > 1e-3);
      }
    });
  }));

Deno.test("documentDifferences() of models one after the other are those of both side by side", async () => {
  const run = async (memoryBudget?: number) => {
    const rows: Float32Array[] = [];
    const reports: number[] = [];
    await withPair("embedded:cake_bake_full", async (gpu, shelf) => {
      const models = shelf.pair("base", "finetuned");
      assertEquals(models.together, memoryBudget === undefined);
      const found = await documentDifferences(gpu, models, SELECTION, {
        layers: [2],
        positions: POSITIONS,
        progress: (done) => reports.push(done),
      });
      rows.push(...POSITIONS.map((position) => found.at(2, position)));
    }, memoryBudget);
    return { rows, last: reports.at(-1) };
  };
  const [together, apart] = [await run(), await run(16 << 20)];
  assertEquals(apart.rows, together.rows);
  assertEquals([together.last, apart.last], [9, 18]);
});

Deno.test("documentDifferences() refuses what would not fit, and stops when it is told to", () =>
  withPair("embedded:cake_bake", async (gpu, shelf) => {
    const models = shelf.pair("base", "finetuned");
    const run = (options: { limit?: number; signal?: AbortSignal }) =>
      documentDifferences(gpu, models, SELECTION, {
        layers: LAYERS,
        positions: POSITIONS,
        ...options,
      });
    const bytes = 4 * 9 * 192 * 4;
    await assertRejects(() => run({ limit: bytes - 1 }), UsageError, "use fewer layers");
    await run({ limit: bytes });
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    await assertRejects(() => run({ signal: stop.signal }), Error, "enough");
  }));
