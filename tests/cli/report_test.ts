/** `report` and `verify` as processes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PLAIN_TEXTS, writeRun } from "../report_fixture.ts";
import { cli, cliJson, refusal, withFolder } from "./cli_helpers.ts";

Deno.test("report: a run's page again in the same bytes, or several runs on one page", async () => {
  await withFolder(async (folder) => {
    const [a, b] = [`${folder}/a`, `${folder}/b`];
    await writeRun(a);
    await writeRun(b, { ...PLAIN_TEXTS, name: "\u001b[31mred" });
    const page = await Deno.readTextFile(`${a}/report.html`);
    await Deno.remove(`${a}/report.html`);
    assertEquals(await cliJson(["report", `${a}/`]), {
      report: `${a}/report.html`,
      runs: [`${a}/`],
    });
    assertEquals(await Deno.readTextFile(`${a}/report.html`), page);

    const out = `${folder}/new/both.html`;
    const { code, out: said, err } = await cli(["report", a, b, "--out", out]);
    assertEquals([code, said], [0, `Report: ${out}\n`], err);
    assertStringIncludes(await Deno.readTextFile(out), "⟨U+001B⟩[31mred");
    await cliJson(["report", a, "--out", `${folder}/one.html`]);
    assertEquals(await Deno.readTextFile(`${folder}/one.html`), page);
  });
});

Deno.test("report and verify: what is no run is refused", async () => {
  await withFolder(async (folder) => {
    const wrong: [string[], string][] = [
      [["report"], "Missing DIR"],
      [["verify"], "Missing DIR"],
      [["verify", "a", "b"], 'Unexpected argument "b"'],
      [["report", `${folder}/none`], "there is no such folder"],
      [["report", folder], "there is no manifest.json"],
      [["verify", folder], "there is no manifest.json"],
    ];
    for (const [args, message] of wrong) assertStringIncludes(refusal(await cli(args)), message);
    await writeRun(`${folder}/run`);
    await Deno.writeTextFile(`${folder}/run/summary.json`, "{}");
    const message = refusal(await cli(["report", `${folder}/run`]));
    assertStringIncludes(message, '"summary.json" was changed since it was written');
  });
});

Deno.test("verify: 0 for a run as it was written, else 1 and the file's name", async () => {
  await withFolder(async (folder) => {
    await writeRun(folder);
    const good = await cli(["verify", folder]);
    assertEquals(good.code, 0, good.err);
    assertStringIncludes(good.out, "report.html is the same, byte for byte");
    const file = `${folder}/causal/causal_2_base_documents.json`;
    const bytes = await Deno.readFile(file);
    bytes[100] ^= 1;
    await Deno.writeFile(file, bytes);
    const bad = await cli(["verify", folder]);
    assertEquals([bad.code, bad.err], [1, ""]);
    assertStringIncludes(bad.out, "1 problem");
    assertStringIncludes(bad.out, "causal/causal_2_base_documents.json: it was changed");
    const { code, out } = await cli(["verify", folder, "--json"]);
    const { ok, problems } = JSON.parse(out);
    assertEquals([code, ok, problems.length], [1, false, 1]);
    assert(problems[0].file.endsWith("documents.json"));
  });
});
