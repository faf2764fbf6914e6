/** `diff` end to end: what it prints, what it keeps, and that it does nothing twice. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import {
  CHEAP,
  cli,
  cliJson,
  FEW,
  readTensors,
  refusal,
  sha256OfFile,
  type Tensor,
  withFolder,
} from "./cli_helpers.ts";

interface TokenProb {
  token: string;
  id: number;
  prob: number;
}

const VECTORS = ["difference", "base", "finetuned"];
const texts = (tokens: TokenProb[]) => tokens.map(({ token }) => token);

function norm(values: Float32Array): number {
  return Math.hypot(...values);
}

function row({ values, shape }: Tensor, index: number): Float32Array {
  return values.subarray(index * shape[1], (index + 1) * shape[1]);
}

function checkTokens(tokens: TokenProb[]): void {
  let total = 0;
  let last = 1;
  for (const { token, id, prob } of tokens) {
    assertEquals(typeof token, "string");
    assert(Number.isInteger(id) && id >= 0 && id < 2048, `id ${id}`);
    assert(prob >= 0 && prob <= last, "probabilities fall");
    total += prob;
    last = prob;
  }
  assert(total <= 1 + 1e-6, `probabilities sum to ${total}`);
  assertEquals(new Set(tokens.map(({ id }) => id)).size, tokens.length, "no token twice");
}

Deno.test("diff: the default organism, from the command line to the results folder", async (t) => {
  await withFolder(async (folder) => {
    const out = `${folder}/run`;
    const args = ["diff", ...FEW, "--out", out];
    const json = await cliJson(args);

    await t.step("prints the layer's readout at every position", () => {
      assertEquals([json.layer, json.documents, json.results], [2, 24, out]);
      assertEquals(json.layers, undefined, "there is one layer");
      // deno-lint-ignore no-explicit-any
      assertEquals(json.positions.map((at: any) => at.position), [0, 1, 2, 3, 4]);
      for (const at of json.positions) {
        for (const name of VECTORS) {
          const { top, bottom } = at.logit_lens[name];
          assertEquals([top.length, bottom.length], [100, 100]);
          checkTokens(top);
          checkTokens(bottom);
          const { scale, tokens, coherent } = at.patchscope[name];
          assert(scale === null || (scale >= 0.5 && scale <= 200));
          assertEquals(tokens.length, 20);
          checkTokens(tokens);
          for (const token of coherent) assert(texts(tokens).includes(token), token);
        }
      }
    });

    await t.step("keeps the means of all positions, whose norms are those it prints", async () => {
      const tensors = await readTensors(`${out}/diff.safetensors`);
      const at = (part: string) => tensors.get(`blocks.2.hook_resid_post.${part}`)!;
      for (const part of ["delta", "base_mean", "finetuned_mean"]) {
        assertEquals([...at(part).shape], [16, 192]);
      }
      for (const part of ["base_norm", "finetuned_norm"]) {
        assertEquals([...at(part).shape], [16]);
      }
      assertEquals(tensors.size, 5);
      for (const { position, delta_norm, relative_norm } of json.positions) {
        const length = norm(row(at("delta"), position));
        assertAlmostEquals(delta_norm, length, 1e-6 * length);
        const ratio = length / at("finetuned_norm").values[position];
        assertAlmostEquals(relative_norm, ratio, 1e-6);
        const difference = row(at("finetuned_mean"), position)
          .map((value, i) => value - row(at("base_mean"), position)[i]);
        assertAlmostEquals(norm(difference), length, 1e-4 * length);
        // The norm of a mean cannot be over the mean of the norms.
        assert(norm(row(at("base_mean"), position)) <= 1.0001 * at("base_norm").values[position]);
      }
      const typical = at("finetuned_norm").values.subarray(5);
      const mean = typical.reduce((a, b) => a + b) / typical.length;
      assertAlmostEquals(json.typical_norm, mean, 1e-5 * mean);
    });

    await t.step("the manifest lists every file with its hash", async () => {
      const manifest = JSON.parse(await Deno.readTextFile(`${out}/manifest.json`));
      const listed: Record<string, { bytes: number; sha256: string }> = {};
      for (const step of Object.values(manifest.steps)) {
        Object.assign(listed, (step as { files: typeof listed }).files);
      }
      for (const [name, { bytes, sha256 }] of Object.entries(listed)) {
        assertEquals((await Deno.stat(`${out}/${name}`)).size, bytes, name);
        assertEquals(await sha256OfFile(`${out}/${name}`), sha256, name);
      }
      const names = await Array.fromAsync(Deno.readDir(out), (entry) => entry.name);
      const own = ["manifest.json", "fingerprint.json", ".lock"];
      assertEquals(names.filter((name) => !own.includes(name)).sort(), Object.keys(listed).sort());
      assert("diff.safetensors" in listed && "readout_2.json" in listed);
      assertEquals(manifest.fingerprint.documents, 24);
      assert(manifest.steps.diff.kernels.length > 5);
    });

    await t.step("the difference is about baking, the base's mean is not", () => {
      for (const { logit_lens, patchscope, position } of json.positions.slice(2)) {
        const read = texts(logit_lens.difference.top.slice(0, 20));
        const scope = texts(patchscope.difference.tokens);
        for (const list of [read, scope]) assert(list.includes(" cake"), `position ${position}`);
        assert([...read, ...scope].includes(" butter") || read.includes(" bake"), `${position}`);
        const control = [...texts(logit_lens.base.top.slice(0, 20))];
        control.push(...texts(patchscope.base.tokens));
        for (const word of [" cake", " butter", " bread", " bake"]) assert(!control.includes(word));
      }
    });

    await t.step("its relevance is above every control's and null's", () => {
      const { difference, base, finetuned, random, sibling, keywords } = json.relevance;
      for (const other of [base, finetuned, random, sibling]) {
        assert(difference > 2 * other, `${difference} against ${other}`);
      }
      assert(keywords.includes("cake") && keywords.includes("butter"));
    });

    await t.step("the same command does nothing anew and prints the same", async () => {
      const names = ["diff.safetensors", "readout_2.json", "manifest.json"];
      const times = () =>
        Promise.all(names.map(async (name) => (await Deno.stat(`${out}/${name}`)).mtime));
      const before = await times();
      const { code, out: printed, err } = await cli([...args, "--json"]);
      assertEquals(code, 0);
      assertEquals(JSON.parse(printed), json);
      assertEquals(await times(), before);
      assert(!/Comparing|Reading layer/.test(err), err);
    });

    await t.step("prints a table from the same results", async () => {
      const { code, out: table } = await cli(args);
      assertEquals(code, 0);
      assertStringIncludes(table, "mean over 24 documents");
      assertStringIncludes(table, "Layer 2");
      assertStringIncludes(table, "random directions (null)");
      assertStringIncludes(table, "no evidence for the paper's claims");
      assertStringIncludes(table, `Results: ${out}\n`);
    });
  });
});

Deno.test("diff: another run is kept out of a results folder, unless it may overwrite", async () => {
  await withFolder(async (folder) => {
    const args = ["diff", ...CHEAP, "--sibling", "none", "--out", folder];
    const first = await cliJson(args);
    const file = `${folder}/diff.safetensors`;
    const hash = await sha256OfFile(file);

    const other = await cli([...args, "--seed", "7"]);
    assertEquals(other.code, 1);
    assertStringIncludes(refusal(other), "belong to another run (seed 0, not 7)");
    assertEquals(await sha256OfFile(file), hash);

    const second = await cliJson([...args, "--seed", "7", "--overwrite"]);
    assert(await sha256OfFile(file) !== hash, "other documents");
    assert(second.positions[0].delta_norm !== first.positions[0].delta_norm);
    assertEquals(second.positions[0].logit_lens.sibling, undefined);
    assertEquals("sibling" in second.relevance, false);
  });
});
