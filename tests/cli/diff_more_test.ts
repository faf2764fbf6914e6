/** `diff` end to end: what may be asked for beside the readout. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { percent } from "../../lens/report/format.ts";
import { assertFound, reportOf } from "../forge.ts";
import { CHEAP, cli, cliJson, EMBEDDED, readTensors, refusal, withFolder } from "./cli_helpers.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

Deno.test("diff: every layer at a deep position, in a table of a line each", async () => {
  await withFolder(async (out) => {
    const flags = ["--documents", "6", "--layers", "all", "--positions", "100"];
    const args = ["diff", ...flags, "--spectrum", "--sibling", "none", "--out", out];
    const { code, out: table, err } = await cli(args);
    assertEquals(code, 0, err);
    assertStringIncludes(table, "logit lens at 100");
    assert(table.split("\n").length < 50, "it can be read");
    const json = await cliJson(args);
    assertEquals(json.layers.map((layer: Json) => layer.layer), [0, 1, 2, 3, 4, 5]);
    const spectra = json.layers.map((layer: Json) => layer.spectrum);
    for (const { positions } of json.layers) assertEquals(positions[0].position, 100);
    spectra.forEach((spectrum: Json, layer: number) => {
      assertEquals([spectrum.layer, spectrum.documents, spectrum.of_documents], [layer, 6, 6]);
      const [{ position, mean_share, uncentred, centred }] = spectrum.positions;
      assertEquals(position, 100);
      assert(mean_share > 0 && mean_share < 1);
      assert(uncentred.directions[50] <= uncentred.directions[90]);
      assert(centred.directions[99] <= 5, "six documents around their mean");
    });
    assertEquals(json.spectrum, spectra[0]);
    const { fingerprint } = JSON.parse(await Deno.readTextFile(`${out}/manifest.json`));
    assertEquals(fingerprint.tokens, 101, "as many as the position needs");
  });
});

Deno.test("diff: spectrum, stability and interpolation go on in the run's folder", async (t) => {
  await withFolder(async (folder) => {
    const out = `${folder}/run`;
    const flags = ["--documents", "6", "--tokens", "16", "--layers", "1", "--positions", "1,15"];
    const args = ["diff", ...flags, "--sibling", "none"];
    const more = ["--spectrum", "--stability", "--interpolate", "0.5"];
    await cliJson([...args, "--out", out]);
    const time = async (name: string) => (await Deno.stat(`${out}/${name}`)).mtime;
    const read = await time("readout_5.json");
    const json = await cliJson([...args, ...more, "--out", out]);

    await t.step("what was done is not done again", async () => {
      assertEquals(await time("readout_5.json"), read);
      const { steps } = JSON.parse(await Deno.readTextFile(`${out}/manifest.json`));
      for (const step of ["spectrum_5", "stability_5", "interpolate", "interpolate_0.5"]) {
        assert(step in steps, step);
      }
      assert(!("interpolate_1" in steps), "that is the run's own");
    });

    await t.step("the stability is that of the run's own mean", () => {
      const { positions, stability } = json;
      assertEquals([stability.draws, stability.positions.length], [100, 2]);
      stability.positions.forEach((at: Json, i: number) => {
        const { value, low, high } = at.relative_norm;
        assertAlmostEquals(value, positions[i].relative_norm, 1e-5);
        assert(low < high);
        assert(at.cosine.low <= at.cosine.mean && at.cosine.mean <= 1);
        const top = positions[i].logit_lens.difference.top.slice(0, 20);
        assertEquals(at.tokens.map((token: Json) => token.id), top.map((token: Json) => token.id));
        assertEquals(at.sizes.map((size: Json) => size.documents), [1, 2, 4]);
      });
    });

    await t.step("the model half-way is compared at the same positions", async () => {
      const { documents, layers: [{ positions }] } = json.interpolate;
      assertEquals([documents, positions.length], [6, 2]);
      const [, { points: [half, whole] }] = positions;
      assertEquals([half.strength, whole.strength], [0.5, 1]);
      assertAlmostEquals(whole.norm, json.positions[1].delta_norm, 1e-4 * whole.norm);
      assertEquals([whole.relative_norm, whole.off_line], [1, 0]);
      assert(half.relative_norm > 0.2 && half.relative_norm < 0.8 && half.cosine > 0.8);
      const tensors = await readTensors(`${out}/interpolate_0.5.safetensors`);
      assertEquals([...tensors.get("blocks.5.hook_resid_post.delta")!.shape], [16, 192]);
    });

    await t.step("the report shows them, and verify derives what follows", async () => {
      const html = await reportOf(out);
      const cell = (value: number) => `<td>${percent(value)}</td>`;
      const { spectrum: { positions: [, at] }, stability, interpolate } = json;
      for (const id of ["spectrum", "stability", "interpolation"]) {
        assertStringIncludes(html, `<section id="${id}"`);
      }
      assertStringIncludes(html, cell(at.mean_share));
      assertStringIncludes(html, `the first has ${percent(at.uncentred.shares[0])} of the energy`);
      assertStringIncludes(html, percent(stability.positions[1].relative_norm.value));
      const [half] = interpolate.layers[0].positions[1].points;
      assertStringIncludes(html, `<td>${half.cosine.toFixed(3)}</td>${cell(half.off_line)}`);
      await assertFound(
        out,
        { part: "", file: "stability_5.json", step: "stability_5" },
        (value) => value.positions[0].enough.cosine = 1000,
      );
      await assertFound(
        out,
        { part: "", file: "interpolate.json", step: "interpolate" },
        (value) => value.layers[0].positions[1].points[0].off_line += 0.01,
      );
    });

    await t.step("other strengths are added to those that are there", async () => {
      const before = await time("interpolate_0.5.safetensors");
      const flags = ["--interpolate", "0.5,0.25", "--out", out];
      const { interpolate } = await cliJson([...args, ...flags]);
      const { points } = interpolate.layers[0].positions[0];
      assertEquals(points.map((point: Json) => point.strength), [0.25, 0.5, 1]);
      assertEquals(await time("interpolate_0.5.safetensors"), before);
    });

    await t.step("all of it is the same in another folder", async () => {
      const other = `${folder}/other`;
      await cliJson([...args, ...more, "--interpolate", "0.25", "--out", other]);
      for (const name of ["spectrum_5.json", "stability_5.json", "interpolate.json"]) {
        const bytes = await Deno.readFile(`${out}/${name}`);
        assertEquals(await Deno.readFile(`${other}/${name}`), bytes, name);
      }
    });
  });
});

Deno.test("diff: --bos-only compares on one token, and needs one", async () => {
  await withFolder(async (folder) => {
    const args = ["diff", "--bos-only", "--layers", "1", "--sibling", "none"];
    const json = await cliJson([...args, "--out", `${folder}/run`]);
    assertEquals([json.documents, json.positions.length, json.positions[0].position], [1, 1, 0]);
    assert(json.positions[0].delta_norm > 0 && json.relevance !== null);
    // Without a text of one's own, from models in folders.
    const base = `${folder}/base`;
    await Deno.mkdir(base);
    for await (const { name } of Deno.readDir(`${EMBEDDED}/base`)) {
      await Deno.copyFile(`${EMBEDDED}/base/${name}`, `${base}/${name}`);
    }
    const own = [...args, "--base", base, "--finetuned", `${EMBEDDED}/organisms/cake_bake`];
    const same = await cliJson([...own, "--out", `${folder}/own`]);
    assertEquals([same.positions, same.relevance], [json.positions, null]);

    const path = `${base}/tokenizer_config.json`;
    const { bos_token: _, add_bos_token: __, ...config } = JSON.parse(
      await Deno.readTextFile(path),
    );
    await Deno.writeTextFile(path, JSON.stringify(config));
    const refused = await cli([...own, "--out", `${folder}/none`]);
    assertStringIncludes(refusal(refused), "Cannot use --bos-only: the tokenizer of");
  });
});

Deno.test("diff: --read-through base reads with the base's head, and is another run", async () => {
  await withFolder(async (folder) => {
    const models = ["--organism", "cake_bake_full", "--sibling", "none"];
    const args = ["diff", ...CHEAP, ...models, "--out", `${folder}/run`];
    const usual = await cliJson(args);
    const through = await cliJson([
      ...args.slice(0, -1),
      `${folder}/base`,
      "--read-through",
      "base",
    ]);
    const [ours, theirs] = [usual, through].map((json) => json.positions[0]);
    assertEquals(theirs.delta_norm, ours.delta_norm);
    assertEquals(theirs.patchscope, ours.patchscope);
    const probs = (at: Json) => at.logit_lens.difference.top.map((token: Json) => token.prob);
    assert(probs(theirs).some((prob: number, i: number) => prob !== probs(ours)[i]));
    const other = await cli([...args, "--read-through", "base"]);
    assertStringIncludes(refusal(other), "read_through");
  });
});
