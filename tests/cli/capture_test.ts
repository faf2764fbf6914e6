/** `capture` end to end: names, shapes, and edits that change what they should and nothing else. */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { encodeSafetensors } from "../../engine/weights/safetensors_writer.ts";
import {
  cli,
  cliJson,
  EMBEDDED,
  readTensors,
  type Tensor,
  twoAtATime,
  withFolder,
} from "./cli_helpers.ts";

const POST = "blocks.2.hook_resid_post";
const SEQUENCES = [[5, 301, 302, 303], [7], [5, 301, 302, 303, 304, 305]];
const WIDTH = 192;

function row({ values, shape }: Tensor, index: number): Float32Array {
  return values.subarray(index * shape[1], (index + 1) * shape[1]);
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** Sequences, hooks and a vector of norm 2 on disk, and a way to capture with edits. */
async function withInputs(
  run: (
    captured: (name: string, edits?: unknown[]) => Promise<Map<string, Tensor>>,
    vector: Float32Array,
  ) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const vector = Float32Array.from({ length: WIDTH }, (_, i) => i % 3 - 1);
    const length = Math.sqrt(dot(vector, vector));
    vector.forEach((value, i) => vector[i] = 2 * value / length);
    await Deno.writeFile(
      `${folder}/vectors.safetensors`,
      encodeSafetensors([{ name: "v", dtype: "F32", shape: [WIDTH], data: vector }]),
    );
    await Deno.writeTextFile(`${folder}/tokens.json`, JSON.stringify(SEQUENCES));
    await run(async (name, edits) => {
      const out = `${folder}/${name}.safetensors`;
      const args = ["capture", "--model", "embedded:base", "--tokens", `${folder}/tokens.json`];
      args.push("--hooks", `blocks.1.hook_resid_post,${POST},blocks.3.hook_resid_post,logits`);
      if (edits !== undefined) {
        const whole = edits.map((edit) => ({
          hook: POST,
          vector: { file: `${folder}/vectors.safetensors`, tensor: "v" },
          ...edit as object,
        }));
        await Deno.writeTextFile(`${folder}/${name}.json`, JSON.stringify(whole));
        args.push("--edits", `${folder}/${name}.json`);
      }
      await cliJson([...args, "--out", out]);
      return await readTensors(out);
    }, vector);
  });
}

Deno.test("capture: one tensor a sequence and hook, by TransformerLens' names", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/tokens.json`, JSON.stringify(SEQUENCES));
    const out = `${folder}/acts.safetensors`;
    const hooks = "hook_embed, blocks.*.hook_resid_post,ln_final.hook_normalized,logits";
    const args = ["capture", "--model", "embedded:base", "--tokens", `${folder}/tokens.json`];
    const json = await cliJson([...args, "--hooks", hooks, "--out", out]);
    const tensors = await readTensors(out);
    const names = ["hook_embed", "ln_final.hook_normalized", "logits"]
      .concat([0, 1, 2, 3, 4, 5].map((layer) => `blocks.${layer}.hook_resid_post`));
    const expected = SEQUENCES.flatMap((sequence, s) =>
      names.map((name) => [`${s}.${name}`, [sequence.length, name === "logits" ? 2048 : WIDTH]])
    );
    const shapes = [...tensors].map(([name, { shape }]) => [name, [...shape]]);
    assertEquals(shapes.sort(), expected.sort());
    assertEquals(json, { file: out, tensors: Object.fromEntries(expected) });
    for (const { values } of tensors.values()) assert(values.every(Number.isFinite));
    // Causal attention: what is the same at first is the same, whatever follows and wherever it stands.
    const [short, long] = [0, 2].map((s) => tensors.get(`${s}.${POST}`)!);
    for (let i = 0; i < 4; i++) assertEquals(row(short, i), row(long, i));
  });
});

Deno.test("capture: a prompt is read with the tokenizer's special tokens, an adapter changes it", async () => {
  await withFolder(async (folder) => {
    const args = ["capture", "--model", `${EMBEDDED}/base`, "--prompt", "The oven is hot"];
    const captured = async (name: string, ...more: string[]) => {
      const out = `${folder}/${name}.safetensors`;
      const { code, out: said, err } = await cli([...args, ...more, "--hooks", POST, "--out", out]);
      assertEquals(code, 0, err);
      assertEquals(said, `Wrote 1 tensors to ${out}\n`);
      return (await readTensors(out)).get(`0.${POST}`)!;
    };
    const base = await captured("base");
    const tuned = await captured("tuned", "--adapter", "embedded:cake_bake");
    assertEquals(base.shape, tuned.shape);
    assert(base.shape[0] > 4, "four words and what begins every text");
    for (let i = 0; i < base.shape[0]; i++) {
      const distance = Math.hypot(...row(base, i).map((value, j) => value - row(tuned, i)[j]));
      assert(distance > 0.1, `position ${i}`);
    }
  });
});

Deno.test("capture: edits change their positions and what follows, and nothing else", () =>
  withInputs(async (captured, vector) => {
    const runs = new Map<string, Map<string, Tensor>>();
    const edits: Record<string, unknown[] | undefined> = {
      plain: undefined,
      add: [{ op: "add", scale: 3, positions: [2] }],
      replace: [{ op: "replace", scale: -2, positions: [-1] }],
      project: [{ op: "project", scale: 5, positions: [1, 3] }],
      remove: [{ op: "project" }],
      both: [{ op: "replace", positions: [0] }, { op: "add", scale: 0.5, positions: [0] }],
    };
    await twoAtATime(
      Object.entries(edits).map(([name, list]) => async () => {
        runs.set(name, await captured(name, list));
      }),
    );
    const plain = runs.get("plain")!;
    /** Checks the edited hook, row by row, and that only the edited rows and later ones moved downstream. */
    const check = (name: string, expected: (h: Float32Array, i: number, n: number) => unknown) => {
      const run = runs.get(name)!;
      SEQUENCES.forEach(({ length }, s) => {
        const before = `${s}.blocks.1.hook_resid_post`;
        assertEquals(run.get(before)!.values, plain.get(before)!.values, "before the edit");
        let touched = false;
        for (let i = 0; i < length; i++) {
          const where = `${name}, sequence ${s}, position ${i}`;
          const was = row(plain.get(`${s}.${POST}`)!, i);
          const is = row(run.get(`${s}.${POST}`)!, i);
          const wanted = expected(was, i, length) as Float32Array | undefined;
          if (wanted === undefined) assertEquals(is, was, where);
          else is.forEach((value, j) => assertAlmostEquals(value, wanted[j], 1e-4, where));
          touched ||= wanted !== undefined;
          for (const hook of ["blocks.3.hook_resid_post", "logits"]) {
            const [later, now] = [plain, run].map((all) => row(all.get(`${s}.${hook}`)!, i));
            const same = later.every((value, j) => value === now[j]);
            assertEquals(same, !touched, `${where}, ${hook}`);
          }
        }
      });
    };
    const along = (h: Float32Array, component: number) => {
      const change = component - dot(h, vector) / 2;
      return h.map((value, j) => value + change * vector[j] / 2);
    };
    check("add", (h, i) => i === 2 ? h.map((value, j) => value + 3 * vector[j]) : undefined);
    check("replace", (_, i, n) => i === n - 1 ? vector.map((value) => -2 * value) : undefined);
    check("project", (h, i) => i === 1 || i === 3 ? along(h, 5) : undefined);
    check("remove", (h) => along(h, 0));
    check("both", (_, i) => i === 0 ? vector.map((value) => 1.5 * value) : undefined);
  }));

Deno.test("capture: a row of a diff's result steers", async () => {
  await withFolder(async (folder) => {
    const file = `${EMBEDDED}/reference/cake_bake.safetensors`;
    const delta = (await readTensors(file)).get("delta")!;
    const edit = { hook: POST, op: "replace", vector: { file, tensor: "delta", row: 3 } };
    await Deno.writeTextFile(`${folder}/edits.json`, JSON.stringify([edit]));
    const args = ["capture", "--model", "embedded:base", "--prompt", "The oven", "--hooks", POST];
    const out = `${folder}/acts.safetensors`;
    await cliJson([...args, "--edits", `${folder}/edits.json`, "--out", out]);
    const tensor = (await readTensors(out)).get(`0.${POST}`)!;
    for (let i = 0; i < tensor.shape[0]; i++) assertEquals(row(tensor, i), row(delta, 3));
  });
});
