/** `deno task tune` as a user starts it: what it keeps, and that later runs take it or say why not. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Tuning } from "../../engine/gpu/tuning.ts";
import { readProfile, shaderHashes } from "../../engine/tuning/profile.ts";
import { cli } from "./cli_helpers.ts";

const GENERATE = [
  "generate",
  "--model",
  "embedded:base",
  "--prompt",
  "The oven",
  "--max-new-tokens",
  "4",
];

Deno.test("deno task tune keeps a profile, and later runs take it or ignore it with a word", async () => {
  const cache = await Deno.makeTempDir();
  const env = { XDG_CACHE_HOME: cache };
  try {
    const { code, out, err } = await cli(["tune", "--quick", "--json"], env);
    assertEquals(code, 0, err);
    const { path, trials, ...profile } = JSON.parse(out);
    assertEquals(trials.flatMap(({ failed }: { failed: unknown }) => Object.keys(failed!)), []);
    const kept = readProfile(JSON.parse(await Deno.readTextFile(path)));
    assertEquals(kept.choices, profile.choices);
    assertEquals(kept.shaders, await shaderHashes());
    new Tuning(kept.choices);

    const expected = await cli([...GENERATE, "--json"], env);
    assertEquals([expected.code, expected.err.includes("warning")], [0, false]);
    await Deno.writeTextFile(
      path,
      JSON.stringify({ ...kept, choices: { "matmul/1/1048576": "x" } }),
    );
    const ignored = await cli([...GENERATE, "--json"], env);
    assertEquals([ignored.code, ignored.out], [0, expected.out]);
    assertStringIncludes(ignored.err, `warning: Ignoring the tuning "${path}": Cannot tune`);

    const reset = await cli(["tune", "--reset"], env);
    assertMatch(reset.out, /^Forgotten: /);
    assertEquals(await Deno.stat(path).catch(() => "gone"), "gone");
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});
