/** `reproduce` end to end: the same bytes again, and what was changed since. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CHEAP, cli, cliJson, refusal, withFolder } from "./cli_helpers.ts";

Deno.test("reproduce: a diff and its relevance come out the same, and a changed file is named", async () => {
  await withFolder(async (root) => {
    const folder = `${root}/run`;
    await cliJson(["diff", ...CHEAP, "--out", folder]);
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`));
    const [{ command, kernels }] = Object.values(manifest.steps) as {
      command: string[];
      kernels: { name: string; audit: { state: string } }[];
    }[];
    assertEquals(command.slice(0, 3), ["diff", "--documents", "4"]);
    assert(kernels.length > 5 && kernels.every(({ audit }) => typeof audit.state === "string"));

    const again = await cliJson(["reproduce", folder]);
    assertEquals([again.identical, again.changed_inputs], [true, []]);
    assert(again.files.length >= 3);

    const name = again.files.find(({ file }: { file: string }) => file.startsWith("readout_")).file;
    const readout = JSON.parse(await Deno.readTextFile(`${folder}/${name}`));
    readout.layer = 7;
    await Deno.writeTextFile(`${folder}/${name}`, JSON.stringify(readout));
    const taken = refusal(await cli(["reproduce", folder]));
    assertStringIncludes(taken, "it is there; use another --out");
    const { code, out } = await cli(["reproduce", folder, "--out", `${root}/third`]);
    assertEquals(code, 1);
    assertStringIncludes(out, "layer: 7, now 5");
    assertStringIncludes(
      out,
      `${again.files.length - 1} of ${again.files.length} files are the same`,
    );
  });
});

Deno.test("reproduce: what is no run is refused", async () => {
  await withFolder(async (root) => {
    assertStringIncludes(refusal(await cli(["reproduce"])), "Missing DIR");
    assertStringIncludes(refusal(await cli(["reproduce", root])), "no finished run");
  });
});
