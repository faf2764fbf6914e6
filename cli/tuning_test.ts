import { assertEquals, assertStringIncludes } from "@std/assert";
import { shaderHashes } from "../engine/tuning/profile.ts";
import { knownTuning, tuningFile } from "./tuning.ts";

const adapter = { vendor: "", architecture: "", device: "", description: "a GPU", software: false };
const GPU = { backend: "deno" as const, adapter };

/** What a device would run by with this text as its profile, and what is said of it. */
async function found(text?: string): Promise<{ choices: unknown; warnings: string[] }> {
  const folder = await Deno.makeTempDir();
  try {
    if (text !== undefined) await Deno.writeTextFile(`${folder}/${tuningFile(GPU)}`, text);
    const warnings: string[] = [];
    const { choices } = await knownTuning(GPU, (line) => warnings.push(line), () => folder);
    return { choices, warnings };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function profile(changes: Record<string, unknown> = {}): Promise<string> {
  const choices = { "matmul/16/max": "tile 32" };
  const shaders = await shaderHashes();
  const own = { format: 1, backend: "deno", adapter: "a GPU", date: "2026-11-25" };
  return JSON.stringify({ ...own, shaders, choices, ...changes });
}

Deno.test("the user's own tuning is found, and without one nothing is said", async () => {
  assertEquals(await found(await profile()), {
    choices: { "matmul/16/max": "tile 32" },
    warnings: [],
  });
  assertEquals(await found(), { choices: {}, warnings: [] });
  const nowhere = () => {
    throw new Error("HOME is not set");
  };
  assertEquals((await knownTuning(GPU, () => {}, nowhere)).choices, {});
});

Deno.test("a tuning that is corrupt, of another adapter or of other shaders is ignored with a word", async () => {
  for (
    const [text, why] of [
      ["", "it is not JSON"],
      ['{"format":1', "it is not JSON"],
      ["[]", "it "],
      [await profile({ format: 7 }), "it has format 7, expected 1"],
      [await profile({ choices: { "matmul/16/max": "rm -rf" } }), "Cannot tune matmul/16/max"],
      [await profile({ adapter: "b" }), "it is of another adapter (b, deno)"],
      [await profile({ shaders: {} }), "shaders have changed since, of which it says matmul"],
    ]
  ) {
    const { choices, warnings } = await found(text);
    assertEquals([choices, warnings.length], [{}, 1]);
    assertStringIncludes(warnings[0], why);
    assertStringIncludes(warnings[0], "deno task tune");
  }
});
