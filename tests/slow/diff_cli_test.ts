/** `diff` end to end, what takes longer: an interruption, and every layer. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cliJson, start, withFolder } from "../cli/cli_helpers.ts";

/** Four batches of 128 documents, which the first layer alone makes as short as they can be. */
const FOUR_BATCHES = ["--documents", "512", "--tokens", "16", "--layers", "0", "--positions", "1"]
  .concat("--sibling", "none", "--json");

const LINE = /^Comparing activations: (\d+)\/512 documents/gm;

/** Runs a diff; sends it SIGINT as soon as it says that some documents are done, if asked to. */
async function run(out: string, interrupt: boolean) {
  const child = start(["diff", ...FOUR_BATCHES, "--out", out]);
  const printed = new Response(child.stdout).text();
  let err = "";
  let sent = false;
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    err += chunk;
    const done = [...err.matchAll(LINE)].some(([, documents]) => Number(documents) > 0);
    if (!interrupt || sent || !done) continue;
    child.kill("SIGINT");
    sent = true;
  }
  const { code } = await child.status;
  const counts = [...err.matchAll(LINE)].map(([, documents]) => Number(documents));
  return { code, err, counts, out: await printed };
}

Deno.test("diff: Ctrl-C keeps what was done, and the next run goes on to the same bytes", async () => {
  await withFolder(async (folder) => {
    const whole = await run(`${folder}/whole`, false);
    assertEquals(whole.code, 0, whole.err);

    const out = `${folder}/stopped`;
    const stopped = await run(out, true);
    assertEquals(stopped.code, 130, stopped.err);
    assertEquals(stopped.out, "");
    assertStringIncludes(stopped.err, "error: Interrupted by SIGINT: what was finished is kept");
    const names = await Array.fromAsync(Deno.readDir(out), (entry) => entry.name);
    assertEquals(names.sort(), [".lock", "checkpoints", "fingerprint.json"]);
    const kept = await Array.fromAsync(Deno.readDir(`${out}/checkpoints`), (entry) => entry.name);
    assertEquals(kept, ["diff.sums"]);

    const resumed = await run(out, false);
    assertEquals(resumed.code, 0, resumed.err);
    assert(resumed.counts[0] >= 128 && resumed.counts[0] < 512, `began at ${resumed.counts[0]}`);
    assertEquals(resumed.counts[0] % 128, 0);
    const bytes = (run: string) => Deno.readFile(`${folder}/${run}/diff.safetensors`);
    assertEquals(await bytes("stopped"), await bytes("whole"));
    assertEquals(JSON.parse(resumed.out).positions, JSON.parse(whole.out).positions);
    assertMatch(await Deno.readTextFile(`${out}/manifest.json`), /"documents": 512/);
    await Deno.stat(`${out}/checkpoints`).then(
      () => assert(false, "checkpoints are left"),
      (error) => assert(error instanceof Deno.errors.NotFound),
    );
  });
});

Deno.test("diff: all layers of a full checkpoint", async () => {
  await withFolder(async (out) => {
    const flags = ["--documents", "2", "--tokens", "3", "--sibling", "none", "--out", out];
    const which = ["--organism", "cake_bake_full", "--layers", "all", "--positions", "2"];
    const json = await cliJson(["diff", ...which, ...flags]);
    // deno-lint-ignore no-explicit-any
    assertEquals(json.layers.map((layer: any) => layer.layer), [0, 1, 2, 3, 4, 5]);
    for (const { positions, relevance } of json.layers) {
      assertEquals(positions.length, 1);
      assert(positions[0].delta_norm > 0 && relevance !== null);
    }
  });
});
