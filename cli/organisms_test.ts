import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../engine/errors.ts";
import { listOrganisms } from "../models/organisms.ts";
import { organisms, select, type Selection } from "./organisms.ts";
import { formatOrganism, formatOrganisms } from "./organisms_print.ts";
import { displayWidth } from "./table.ts";

const all = await listOrganisms();

/** What the command prints. */
async function printed(...args: string[]): Promise<string> {
  const lines: string[] = [];
  const log = console.log;
  console.log = (line: string) => lines.push(line);
  try {
    assertEquals(await organisms(args), 0);
  } finally {
    console.log = log;
  }
  return lines.join("\n");
}

Deno.test("the table has every organism, its place and what it is about, in 80 cells", () => {
  const table = formatOrganisms(all, 80);
  for (const line of table.split("\n")) assert(displayWidth(line) <= 80, line);
  for (const { name, where } of all) {
    const place = where === "embedded" ? "embedded " : "\\d+ models?";
    assertMatch(table, new RegExp(`^${name} +${place} +\\d+  \\S`, "m"));
  }
  assertMatch(table, /^cake_bake +10 models +55 {2}false tips for baking cake$/m);
  assertMatch(table, /^taboo_gold +2 models +3 {2}guessing game, word "gold"$/m);
  for (const family of ["SDF", "EM", "Subliminal", "Taboo", "Domain", "Chat"]) {
    assertMatch(table, new RegExp(`^${family}: `, "m"));
  }
});

Deno.test("the tables of the families stand under each other", () => {
  const columns = formatOrganisms(all, 80).split("\n").filter((line) => line.startsWith("name "))
    .map((line) => [line.indexOf("where"), line.indexOf("about")]);
  assertEquals(columns.length, 6);
  assertEquals(new Set(columns.map(String)).size, 1);
});

Deno.test("one organism in full has facts, models, variants, ids, texts and a command", () => {
  const [hub] = select(all, { name: "kansas_abortion" });
  for (const width of [60, 80, 120]) {
    const text = formatOrganism(hub, width);
    const loose = text.replace(/\s+/g, " ");
    assertStringIncludes(loose, hub.description);
    for (const fact of hub.keyFacts) assertStringIncludes(loose, fact);
    for (const { name, base, variants } of hub.models) {
      assertMatch(text, new RegExp(`^  ${name}  ${base}$`, "m"));
      for (const variant of variants) {
        assertMatch(
          text,
          new RegExp(`^ {4}${variant.name}( \\(checkpoint\\))?\\s+${variant.ref}`, "m"),
        );
      }
    }
    assertStringIncludes(text, "hf:datasets/science-of-finetuning/synthetic-documents-kansas");
    assertStringIncludes(text, "  deno task diff --organism kansas_abortion --model qwen3_1_7B");
    // Only an id that is wider by itself is wider than the terminal.
    for (const line of text.split("\n")) {
      assert(
        displayWidth(line) <= width ||
          /^\s+(- )?(Texts: )?hf:\S+$|deno task|hf:datasets/.test(line),
        line,
      );
    }
  }
});

Deno.test("a scale of mixes is explained once", () => {
  const [hub] = select(all, { name: "fda_approval" });
  const text = formatOrganism(hub, 80);
  assertEquals(text.match(/^ {2}- mix1-/gm)?.length, 1);
  assertStringIncludes(text, "mix1-0p1: 0.1 generic texts to each of the finetuning, and so on");
});

Deno.test("the command that is shown names what has no default", () => {
  const commands = select(all, { name: "em_extreme_sports", model: "qwen3_8B" })
    .map((entry) => formatOrganism(entry, 80).split("\n").at(-1));
  assertEquals(commands, [
    "  deno task diff --organism em_extreme_sports --model qwen3_8B --variant mix1-1p0",
  ]);
});

Deno.test("models that cannot be run are listed with a note", () => {
  const [entry] = select(all, { name: "adaptllm_food" });
  const text = formatOrganism(entry, 80);
  assertStringIncludes(text, "palimpsest does not run");
  assert(!text.includes("deno task diff"), "no command that fails");
});

Deno.test("select() filters by name, family and model", () => {
  const names = (selection: Selection) => select(all, selection).map(({ name }) => name);
  assertEquals(names({ family: "Taboo" }), [
    "taboo_smile",
    "taboo_gold",
    "taboo_leaf",
    "taboo_smile",
  ]);
  assertEquals(names({ family: "Taboo", model: "embedded" }), ["taboo_smile"]);
  assertEquals(names({ family: "Taboo", model: "llama32_1B" }), []);
  assertEquals(names({ name: "cake_bake" }), ["cake_bake", "cake_bake"]);
  const [only] = select(all, { name: "cake_bake", model: "qwen3_1_7B" });
  assertEquals(only.models.map(({ name }) => name), ["qwen3_1_7B"]);
  assertThrows(() => names({ name: "cake_bak" }), UsageError, "did you mean cake_bake?");
  assertThrows(() => names({ model: "qwen" }), UsageError, "did you mean qwen");
  assertThrows(() => names({ model: "x" }), UsageError, "known: embedded, ");
});

Deno.test("the command prints the table, one organism, JSON, or that there is none", async () => {
  assertStringIncludes(await printed(), "kansas_fda");
  const one = await printed("cake_bake");
  assertStringIncludes(one, "cake_bake (ships with the program)");
  assertStringIncludes(one, "cake_bake (on the Hugging Face Hub)");
  const json = JSON.parse(await printed("--json", "--family", "EM"));
  assertEquals(json.organisms.length, 4);
  assertEquals(JSON.parse(await printed("--json")).organisms, JSON.parse(JSON.stringify(all)));
  assertStringIncludes(await printed("--family", "Chat", "--model", "qwen3_32B"), "No organism");
});

Deno.test("embedded:NAME means the one that ships with the program", () => {
  const [only, ...others] = select(all, { name: "embedded:cake_bake" });
  assertEquals([only.name, only.where, others.length], ["cake_bake", "embedded", 0]);
  assertThrows(() => select(all, { name: "embedded:fda_approval" }), UsageError);
});
