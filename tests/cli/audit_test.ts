/** `audit` end to end: one op, its report, comparing two of them, and what it refuses. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { cli, cliJson, refusal, withFolder } from "./cli_helpers.ts";

Deno.test("audit: one op is audited, reported, and compared with itself and with another", async () => {
  await withFolder(async (folder) => {
    const args = ["audit", "--only", "add,add_b*", "--quick", "--out", folder];
    const found = await cliJson(args);
    assert(found.holds);
    assertEquals(
      found.results.map(({ op, device }: { op: string; device: string }) => [op, device]),
      [
        ["add_bias", "software"],
        ["add_bias", "discrete"],
        ["add", "software"],
        ["add", "discrete"],
      ],
    );
    const page = await Deno.readTextFile(found.report);
    for (const text of ["All bounds hold", "[add](../../shaders/add.wgsl)", "one rounding"]) {
      assertStringIncludes(page.toLowerCase(), text.toLowerCase());
    }
    const mine = found.report.replace(/\.md$/, ".json");
    const same = await cliJson(["audit", "--compare", mine, mine]);
    assertEquals([same.same, same.kernels.different], [true, []]);
    assert(same.kernels.compared > 20);

    const other = JSON.parse(await Deno.readTextFile(mine));
    const key = Object.keys(other.checksums).find((name) => name.startsWith("add |"))!;
    other.checksums[key] = "0";
    await Deno.writeTextFile(`${folder}/other.json`, JSON.stringify(other));
    const { code, out } = await cli(["audit", "--compare", mine, `${folder}/other.json`]);
    assertEquals(code, 1);
    assertStringIncludes(out, "The first kernel that parts: add\n");
  });
});

Deno.test("audit: what cannot be audited or compared is refused", async () => {
  await withFolder(async (folder) => {
    const of = async (...args: string[]) => refusal(await cli(["audit", ...args]));
    assertStringIncludes(await of("--only", "nothing"), "the ops are embedding, rmsnorm");
    assertStringIncludes(await of("--compare", "a.json"), "--compare takes two files");
    assertStringIncludes(await of("a.json"), "files go with --compare");
    assertStringIncludes(await of("--compare", "/none", "/none"), "there is no such file");
    const bad = `${folder}/bad.json`;
    for (
      const [text, why] of [
        ["{", "it is not JSON"],
        ["null", "its format is undefined"],
        ['{"format":1}', "fields are missing"],
        ['{"format":1,"checksums":{"a":1},"kernels":[],"models":[]}', "malformed"],
      ]
    ) {
      await Deno.writeTextFile(bad, text);
      assertStringIncludes(await of("--compare", bad, bad), why);
    }
  });
});
