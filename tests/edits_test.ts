/** What each edit does at every kind of hook, and what it leaves alone. */

import { assert, assertEquals } from "@std/assert";
import { type Edit, hookOrder, hookWidth } from "../engine/hooks.ts";
import { KvCache } from "../engine/kv_cache.ts";
import type { Transformer } from "../engine/transformer.ts";
import {
  assertClose,
  assertSameBits,
  assertSameRun,
  concat,
  type Run,
  run,
  someVector,
} from "./helpers.ts";
import { allHooks, hookKinds, LENGTHS, NORMED, openModel, texts } from "./hooks_helpers.ts";

/** Applies `change` to a copy of the rows: the value of row `row`, element `i` of sequence `s`. */
function expectedRows(
  before: readonly Float32Array[],
  width: number,
  change: (value: number, s: number, row: number, i: number) => number,
): Float32Array[] {
  return before.map((values, s) =>
    values.map((value, at) => change(value, s, Math.floor(at / width), at % width))
  );
}

/** The captures at a hook with the edits in effect. */
async function edited(model: Transformer, hook: string, edits: Edit[]): Promise<Float32Array[]> {
  return (await run(model, texts(model), { capture: [hook], edits })).get(hook)!;
}

/** The kernels round once where the host computes in double and rounds at the end. */
const ONE_ROUNDING = 2 ** -23;

Deno.test("add and replace at every kind of hook, with a scale a sequence", async () => {
  const model = await openModel();
  const scale = [0.5, 0, -2];
  for (const hook of hookKinds()) {
    const width = hookWidth(model.spec, hook);
    const vector = someVector(width, 1);
    const plain = await edited(model, hook, []);
    const added = await edited(model, hook, [{ hook, op: "add", vector, scale }]);
    const sums = expectedRows(plain, width, (h, s, _, i) => h + scale[s] * vector[i]);
    sums.forEach((want, s) => assertClose(added[s], want, ONE_ROUNDING, `add at ${hook}`));
    assertSameBits(added[1], plain[1], `add with scale 0 at ${hook}`);

    const replaced = await edited(model, hook, [{ hook, op: "replace", vector, scale }]);
    const products = expectedRows(plain, width, (_, s, __, i) => scale[s] * vector[i]);
    // A product by a power of two is exact, but 0 may have either sign.
    products.forEach((want, s) =>
      assertEquals(replaced[s].map((x) => x + 0), want.map((x) => x + 0), `replace at ${hook}`)
    );
  }
  model.destroy();
});

Deno.test("project sets the component along a vector of any length, and removes it by default", async () => {
  const model = await openModel();
  const component = (row: Float32Array, unit: Float64Array) =>
    row.reduce((sum, value, i) => sum + value * unit[i], 0);
  for (const hook of hookKinds()) {
    const width = hookWidth(model.spec, hook);
    const vector = someVector(width, 2).map((x) => 3 * x);
    const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
    const unit = Float64Array.from(vector, (x) => x / length);
    const plain = await edited(model, hook, []);
    const cases: [Edit, number[]][] = [
      [{ hook, op: "project", vector }, [0, 0, 0]],
      [{ hook, op: "project", vector, scale: [1.5, 0, -40] }, [1.5, 0, -40]],
    ];
    for (const [edit, targets] of cases) {
      const found = await edited(model, hook, [edit]);
      found.forEach((values, s) => {
        for (let at = 0; at < values.length; at += width) {
          const row = values.subarray(at, at + width);
          const old = plain[s].subarray(at, at + width);
          const size = Math.sqrt(old.reduce((sum, x) => sum + x * x, 0));
          const tolerance = 1e-5 * Math.max(size, Math.abs(targets[s]));
          const found = component(row, unit);
          const what = `component at ${hook} is ${found}, expected ${targets[s]}`;
          assert(Math.abs(found - targets[s]) <= tolerance, what);
          // What is across the vector stays.
          const change = targets[s] - component(old, unit);
          assertClose(row, Float64Array.from(old, (x, i) => x + change * unit[i]), 1e-5, hook);
        }
      });
    }
  }
  model.destroy();
});

Deno.test("components come from the rows at the same places of another tensor", async () => {
  const model = await openModel();
  const { gpu } = model;
  for (const hook of ["hook_embed", "blocks.2.hook_resid_post"]) {
    const width = hookWidth(model.spec, hook);
    const rows = Array.from({ length: 40 }, (_, r) => someVector(width, r + 30));
    const tensor = gpu.tensorFrom(concat(rows), [rows.length, width]);
    const vectors = [someVector(width, 4), null, someVector(width, 5)];
    const firstRows = [3, 0, 21];
    const plain = await edited(model, hook, []);
    const edits = [{ hook, op: "component" as const, vectors, from: { tensor, firstRows } }];
    const found = (await run(model, texts(model), { capture: [hook], edits })).get(hook)!;
    tensor.release();
    assertSameBits(found[1], plain[1], `a sequence without a vector at ${hook}`);
    for (const s of [0, 2]) {
      const length = Math.hypot(...vectors[s]!);
      const unit = Float64Array.from(vectors[s]!, (x) => x / length);
      const along = (row: Float32Array) => row.reduce((sum, x, i) => sum + x * unit[i], 0);
      for (let i = 0; i < LENGTHS[s]; i++) {
        const old = plain[s].subarray(i * width, (i + 1) * width);
        const change = along(rows[firstRows[s] + i]) - along(old);
        assertClose(
          found[s].subarray(i * width, (i + 1) * width),
          Float64Array.from(old, (x, j) => x + change * unit[j]),
          1e-5,
          `row ${i} of sequence ${s} at ${hook}`,
        );
      }
    }
  }
  model.destroy();
});

Deno.test("listed positions: from the start, from the end, and none", async () => {
  const model = await openModel();
  const rows: [number[], number[][]][] = [
    [[0], [[0], [0], [0]]],
    [[-1], [[6], [3], [8]]],
    [[2, 5, -3, 2], [[2, 4, 5], [1, 2], [2, 5, 6]]],
    [[8], [[], [], [8]]],
    [[], [[], [], []]],
  ];
  for (const hook of ["hook_embed", "blocks.1.hook_mlp_out", NORMED, "logits"]) {
    const width = hookWidth(model.spec, hook);
    const vector = someVector(width, 3);
    const plain = await edited(model, hook, []);
    for (const op of ["add", "replace", "project"] as const) {
      const everywhere = await edited(model, hook, [{ hook, op, vector, scale: 2 }]);
      for (const [positions, places] of rows) {
        const found = await edited(model, hook, [{ hook, op, vector, scale: 2, positions }]);
        found.forEach((values, s) => {
          const want = plain[s].slice();
          for (const row of places[s]) {
            want.set(everywhere[s].subarray(row * width, row * width + width), row * width);
          }
          assertSameBits(values, want, `${op} at ${positions} of ${hook}, sequence ${s}`);
        });
      }
    }
  }
  model.destroy();
});

Deno.test("positions are those of the whole sequence, also when its beginning is in a cache", async () => {
  const model = await openModel();
  const [text] = texts(model);
  const hook = "blocks.1.hook_resid_post";
  const capture = [hook, { hook: "logits", positions: [2, 4, 6] }];
  const edit: Edit = { hook, op: "add", vector: someVector(model.spec.hiddenSize, 4), scale: 3 };
  const plain = await run(model, [text], { capture });
  const edits = [{ ...edit, positions: [1, 4] }];
  const whole = await run(model, [text], { capture, edits });
  // Causal: position 0 does not know of the edits; the last does.
  const { hiddenSize, vocabSize } = model.spec;
  const first = (r: Run) => r.get(hook)![0].slice(0, hiddenSize);
  assertSameBits(first(whole), first(plain), "position 0");
  const last = (r: Run) => r.get("logits")![0].slice(-vocabSize);
  assert(last(whole).some((x, i) => x !== last(plain)[i]));

  const cache = new KvCache(model.gpu, model.spec, text.length);
  const place = { prefixStart: 0, prefixLength: 0, ownStart: cache.reserve(text.length) };
  const parts = [
    await run(model, [text.slice(0, 3)], { capture, edits, cache }, [{ ...place, ownLength: 0 }]),
    await run(model, [text.slice(3)], { capture, edits, cache }, [{ ...place, ownLength: 3 }]),
  ];
  for (const [name, [values]] of whole) {
    assertSameBits(concat(parts.map((part) => part.get(name)![0])), values, name);
  }
  cache.destroy();
  model.destroy();
});

Deno.test("edits do not leak to other sequences", async () => {
  const model = await openModel();
  const capture = allHooks(model);
  const plain = await run(model, texts(model), { capture });
  for (const op of ["add", "project"] as const) {
    // Adding nothing and projecting at no position both leave a sequence alone.
    const hook = "blocks.1.hook_resid_pre";
    const vector = someVector(model.spec.hiddenSize, 5);
    const edit: Edit = op === "add"
      ? { hook, op, vector, scale: [0, 5, 0] }
      : { hook, op, vector, scale: 5, positions: [8] }; // only the last sequence has it
    const touched = op === "add" ? 1 : 2;
    const found = await run(model, texts(model), { capture, edits: [edit] });
    for (const [name, sequences] of plain) {
      const reached = hookOrder(model.spec, name) >= hookOrder(model.spec, hook);
      sequences.forEach((values, s) => {
        const now = found.get(name)![s];
        if (s !== touched || !reached) return assertSameBits(now, values, `${name} of ${s}`);
        assert(now.some((x, i) => x !== values[i]), `${name} of ${s} does not feel the edit`);
      });
    }
  }
  model.destroy();
});

Deno.test("two edits at one hook apply in their order", async () => {
  const model = await openModel();
  for (const hook of ["blocks.2.hook_attn_out", "logits"]) {
    const width = hookWidth(model.spec, hook);
    const [v, w] = [someVector(width, 6), someVector(width, 7)];
    const replace: Edit = { hook, op: "replace", vector: v };
    const add: Edit = { hook, op: "add", vector: w };
    const both = await edited(model, hook, [replace, add]);
    const other = await edited(model, hook, [add, replace]);
    LENGTHS.forEach((length, s) => {
      for (let row = 0; row < length; row++) {
        const part = (values: Float32Array) => values.slice(row * width, row * width + width);
        assertSameBits(part(both[s]), v.map((x, i) => x + w[i]), "replace, then add");
        assertSameBits(part(other[s]), v, "add, then replace");
      }
    });
  }
  model.destroy();
});

Deno.test("the next sublayer reads what an edit left", async () => {
  // Of one model q, k and v are packed together, of the other they are not.
  for (const name of ["llama3_untied", "qwen3_tied"]) {
    const model = await openModel(name);
    const next = [
      ["blocks.0.hook_attn_out", "blocks.0.hook_mlp_out"],
      ["blocks.0.hook_resid_mid", "blocks.0.hook_mlp_out"],
      ["blocks.0.hook_mlp_out", "blocks.1.hook_attn_out"],
      ["blocks.0.hook_resid_post", "blocks.1.hook_attn_out"],
      ["blocks.1.hook_resid_pre", "blocks.1.hook_attn_out"],
      ["blocks.1.hook_resid_mid", "blocks.1.hook_mlp_out"],
    ];
    const vector = someVector(model.spec.hiddenSize, 8);
    for (const [hook, reads] of next) {
      const read = async (edits: Edit[]) =>
        (await run(model, texts(model), { capture: [reads], edits })).get(reads)!;
      const [plain, edited] = [await read([]), await read([{ hook, op: "add", vector }])];
      edited.forEach((rows, s) =>
        assert(rows.some((x, i) => x !== plain[s][i]), `${name}: ${reads} after ${hook}`)
      );
    }
    model.destroy();
  }
});

Deno.test("an edit goes on: resid_post of a block, or resid_pre of the next, is one place", async () => {
  const model = await openModel();
  const edit = { op: "add", vector: someVector(model.spec.hiddenSize, 8), scale: 2 } as const;
  const capture = ["blocks.2.hook_attn_out", NORMED, "logits"];
  const at = (hook: string) => run(model, texts(model), { capture, edits: [{ ...edit, hook }] });
  const plain = await run(model, texts(model), { capture });
  const [post, pre] = [await at("blocks.1.hook_resid_post"), await at("blocks.2.hook_resid_pre")];
  assertSameRun(post, pre, "resid_post and resid_pre");
  for (const hook of capture) {
    assert(post.get(hook)![0].some((x, i) => x !== plain.get(hook)![0][i]), hook);
  }
  // An edit of the final norm's output reaches the logits, one of the logits nothing before them.
  const normed = await at(NORMED);
  assert(normed.get("logits")![0].some((x, i) => x !== plain.get("logits")![0][i]));
  assertSameBits(normed.get(capture[0])![0], plain.get(capture[0])![0], "before the edit");
  model.destroy();
});
