/** `steer` and `relevance` end to end: shapes, strengths, resuming, and texts that can be drawn again. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { readJson } from "../helpers.ts";
import { cli, cliJson, FEW, refusal, withFolder } from "./cli_helpers.ts";

const STEER = ["steer", "--delta-documents", "24", "--samples", "2", "--new-tokens", "6"];
const QUICK = ["--search-samples", "2", "--search-tokens", "6", "--decisions", "3"];

async function withPrompts(run: (folder: string, args: string[]) => Promise<void>) {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/prompts.txt`, "The oven\n\nA letter came\n");
    const prompts = ["--prompts", `${folder}/prompts.txt`];
    await run(folder, [...STEER, ...QUICK, ...prompts, "--search-prompts", prompts[1]]);
  });
}

Deno.test("steer: finds a strength, draws texts with and without, and does nothing twice", async () => {
  await withPrompts(async (folder, args) => {
    const out = ["--out", `${folder}/run`];
    const first = await cliJson([...args, ...out]);
    assertEquals([first.layer, first.position], [2, 1]);
    assert(first.alpha >= 0 && first.alpha < 100, `${first.alpha}`);
    assertEquals(first.searches.length, 2);
    assertEquals(first.searches[0].rounds[0].strengths.length, 7);
    const prompts = first.samples.map(({ prompt }: { prompt: string }) => prompt);
    assertEquals(prompts, ["The oven", "A letter came"]);
    for (const { steered, unsteered } of first.samples) {
      assertEquals([steered.length, unsteered.length], [2, 2]);
    }
    const file = await Deno.readTextFile(`${folder}/run/steer_2_1.json`);
    const again = await cli([...args, ...out, "--json"]);
    assertEquals(JSON.parse(again.out), first);
    assert(!again.err.includes("Steering"), again.err);
    // Another folder, the same bytes.
    await cliJson([...args, "--out", `${folder}/other`]);
    assertEquals(await Deno.readTextFile(`${folder}/other/steer_2_1.json`), file);
  });
});

Deno.test("steer: a strength by hand, in both models, from a diff's results", async () => {
  await withPrompts(async (folder, args) => {
    await cliJson(["diff", ...FEW, "--positions", "1", "--out", `${folder}/diff`]);
    const by = args.filter((arg, i) => ![arg, args[i - 1]].includes("--delta-documents"));
    const given = [...by, "--from", `${folder}/diff`, "--also", "base", "--out", `${folder}/run`];
    const strong = await cliJson([...given, "--alpha", "4"]);
    assertEquals([strong.alpha, strong.searches], [4, []]);
    const [{ steered, unsteered, base_steered, base_unsteered }] = strong.samples;
    assertNotEquals(steered, unsteered);
    assertNotEquals(base_steered, base_unsteered);
    assertNotEquals(unsteered, base_unsteered);
    // Another strength replaces the texts; none leaves them as they are without.
    const none = await cliJson([...given, "--alpha", "0", "--positions", "1,3"]);
    assertEquals(none.samples[0].steered, unsteered);
    assertEquals(none.positions.map(({ position }: { position: number }) => position), [1, 3]);
    assertEquals(none.positions[1].samples, none.samples, "nothing of any position is added");
    const { steps } = await readJson(`${folder}/run/manifest.json`);
    assertEquals(steps.steer_2_1.settings.alpha, 0);
    const wrong = [...given, "--alpha", "1", "--organism", "bad_advice"];
    assert(refusal(await cli(wrong)).includes("its finetuned model is"));
    const file = ["--alpha", "1", "--prompts", `${folder}/none.txt`];
    assert(refusal(await cli(["steer", ...file])).includes("none.txt"));
  });
});

Deno.test("relevance: by keywords, beside every null", async () => {
  await withFolder(async (folder) => {
    const out = ["--out", `${folder}/run`];
    const args = ["relevance", ...FEW, "--positions", "1", ...out];
    const offline = await cliJson(args);
    assertEquals(offline.grader, "offline");
    for (const name of ["difference", "base", "finetuned", "random", "sibling"]) {
      assert(offline[name] >= 0 && offline[name] <= 1, name);
    }
    assert(offline.difference > offline.base, "δ is about baking, the base's mean is not");
  });
});
