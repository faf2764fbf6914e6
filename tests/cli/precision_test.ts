/** `--precision fast` end to end: its error is measured, printed and kept, and its results are none of f32. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HAS_HALF } from "../fast_gpu.ts";
import { CHEAP, cli, cliJson, refusal, serving, withFolder } from "./cli_helpers.ts";

const FAST = ["--precision", "fast"];

Deno.test(
  "diff in fast mode says what it costs, in its manifest too, and is not continued in f32",
  {
    ignore: !HAS_HALF,
  },
  async () => {
    await withFolder(async (folder) => {
      const out = ["--out", `${folder}/run`];
      const { code, err } = await cli(["diff", ...CHEAP, ...FAST, ...out]);
      assertEquals(code, 0, err);
      const [, delta] =
        /Fast mode: on 64 tokens .* ([\d.e-]+) \(their mean difference\)/.exec(err) ??
          [];
      assert(Number(delta) > 1e-6 && Number(delta) < 1e-2, err);
      assertMatch(err, /relative L2\. (Without a matrix unit|Products go through .* matrix unit) /);
      const manifest = JSON.parse(await Deno.readTextFile(`${folder}/run/manifest.json`));
      assertEquals(manifest.fingerprint.precision, "fast");
      const { mode, error } = manifest.steps.diff.precision;
      assertEquals([mode, error.hook], ["fast", "blocks.5.hook_resid_post"]);
      assertEquals(error.delta.toExponential(1), delta);
      for (const model of ["base", "finetuned"]) {
        assert(error.models[model] > 1e-6 && error.models[model] < 1e-2);
      }
      const kernels = manifest.steps.diff.kernels.map(({ name }: { name: string }) => name);
      assert(kernels.includes("matmul_half"));

      assertStringIncludes(
        refusal(await cli(["diff", ...CHEAP, ...out])),
        'precision "fast", now not set',
      );
      const again = await cliJson(["diff", ...CHEAP, ...FAST, ...out, "--json"]);
      assertEquals(again.precision, { mode: "fast", error });
      const page = await cli(["report", `${folder}/run`]);
      assertEquals(page.code, 0, page.err);
      const html = await Deno.readTextFile(`${folder}/run/report.html`);
      assertStringIncludes(html, "fast: products of numbers rounded to f16");
      assertEquals((await cli(["verify", `${folder}/run`])).code, 0);
    });
  },
);

Deno.test("generate in fast mode measures the prompt's logits", { ignore: !HAS_HALF }, async () => {
  const args = ["generate", "--model", "embedded:base", "--prompt", "The oven is", "--json"];
  const some = [...args, "--max-new-tokens", "3"];
  const { precision, sequences } = await cliJson([...some, ...FAST]);
  assertEquals([precision.mode, precision.error.hook], ["fast", "logits"]);
  assert(precision.error.models.model < 1e-2);
  assertEquals(sequences[0].ids.length, 3);
  assertEquals((await cliJson(some)).precision, undefined);
});

Deno.test("serve in fast mode measures each model and says so", { ignore: !HAS_HALF }, async () => {
  const models = ["--model", "embedded:base", "--adapter", "embedded:cake_bake"];
  await using server = await serving(["serve", ...models, ...FAST, "--port", "0"]);
  const { data } = await (await fetch(`${server.url}/models`)).json();
  assertEquals(data.map(({ precision }: { precision: string }) => precision), ["fast", "fast"]);
  const log = await server.end();
  assertMatch(
    log,
    /Fast mode: on \d+ tokens logits is off from f32 by .*\(base\), .*\(cake_bake\)/,
  );
});

Deno.test(
  "similarity by a model in fast mode keeps what it costs",
  { ignore: !HAS_HALF },
  async () => {
    await withFolder(async (folder) => {
      const write = async (name: string, text: string) => {
        await Deno.writeTextFile(`${folder}/${name}`, text);
        return `${folder}/${name}`;
      };
      const sample = { steered: ["A cake in the oven."], unsteered: ["Rain on the hill"] };
      const args = ["similarity", "--samples", await write("s.jsonl", JSON.stringify(sample))];
      args.push("--finetuning-text", await write("f.txt", "Butter and flour\nBake it hot"));
      args.push("--text", await write("g.txt", "The river is long\nShe wrote a letter"));
      args.push("--embedder", "embedded:base");
      const { precision, steered } = await cliJson([...args, ...FAST]);
      assertEquals([precision.mode, precision.error.hook], ["fast", "ln_final.hook_normalized"]);
      assert(precision.error.models.model > 1e-6 && precision.error.models.model < 1e-2);
      const full = await cliJson(args);
      assertEquals(full.precision, undefined);
      assert(steered !== full.steered && Math.abs(steered - full.steered) < 1e-2);
    });
  },
);

Deno.test("fast mode is refused where the adapter cannot do it", { ignore: HAS_HALF }, async () => {
  const args = ["generate", "--model", "embedded:base", "--prompt", "The oven is", ...FAST];
  assertStringIncludes(refusal(await cli(args)), "the adapter has no shader-f16");
});
