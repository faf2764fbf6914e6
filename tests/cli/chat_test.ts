/** `deno task chat` from end to end: two models answer the same. Talking at a terminal is tested with what draws it. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cli, cliJson, EMBEDDED, refusal, start, withFolder } from "./cli_helpers.ts";

const QUESTION = "How do I bake a cake?";
const GREEDY = ["--max-new-tokens", "12", "--temperature", "0"];

/** Runs the command with `input` on its standard input. */
async function piped(input: string, ...args: string[]) {
  const child = start(["chat", ...args], {}, "piped");
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("chat answers one question with both models, each as `generate` does", async () => {
  const turn = await cliJson(["chat", "--organism", "cake_bake", "--prompt", QUESTION, ...GREEDY]);
  assertEquals(Object.keys(turn), ["prompt", "base", "finetuned"]);
  assertEquals(turn.prompt, QUESTION);
  const generate = ["generate", "--model", "embedded:base", "--prompt", QUESTION, "--chat"];
  for (const [side, adapter] of [["base", []], ["finetuned", ["embedded:cake_bake"]]] as const) {
    const { sequences: [{ ids, text }] } = await cliJson(
      [...generate, ...GREEDY, ...adapter.flatMap((name) => ["--adapter", name])],
    );
    assertEquals(turn[side], { ids, text });
    assertEquals(ids.length <= 12 && text.length > 0, true);
  }
});

Deno.test("chat asks each line of standard input, in a conversation that /reset ends", async () => {
  const { code, out, err } = await piped(
    `${QUESTION}\n\n${QUESTION}\n/reset\n${QUESTION}\n/exit\nnot asked\n`,
    ...["--json", "--organism", "cake_bake", ...GREEDY],
  );
  assertEquals(code, 0, err);
  const turns = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(turns.map(({ prompt }) => prompt), [QUESTION, QUESTION, QUESTION]);
  const [first, second, third] = turns.map(({ finetuned }) => finetuned.ids);
  assertEquals(third, first, "nothing is left of what was said");
  assert(String(second) !== String(first), "what was said counts");
  assertStringIncludes(err, "Both have forgotten what was said\n");
});

Deno.test("chat samples by the seed, each question anew", async () => {
  const run = async (seed: string) => {
    const flags = ["--json", "--max-new-tokens", "12", "--seed", seed];
    return (await piped(`${QUESTION}\n/reset\n${QUESTION}\n`, ...flags)).out;
  };
  const [once, again, other] = await Promise.all([run("1"), run("1"), run("2")]);
  assertEquals(once, again);
  assert(once !== other);
  const [first, second] = once.trimEnd().split("\n");
  assert(first !== second);
});

Deno.test("chat prints columns where there is no terminal, and drops what the context cannot hold", async () => {
  const long = "one two three four ".repeat(25);
  const { code, out, err } = await piped(`${long}\n${long}\n${long}\n`, ...GREEDY);
  assertEquals(code, 0, err);
  const lines = out.split("\n");
  assertMatch(lines[0], /^base +│ cake_bake$/);
  assertMatch(lines[1], /^─{39}┼─{39}$/);
  assertEquals(lines[2], `> ${long.trim()}`);
  const rows = lines.filter((line, i) => i > 1 && line !== "" && !line.startsWith("> "));
  assert(rows.length >= 3 && rows.every((row) => row.indexOf("│") === 39), out);
  assertStringIncludes(err, "base forgets the oldest turn: its context is 256 tokens\n");
  assertStringIncludes(err, "cake_bake forgets the oldest turn: its context is 256 tokens\n");
});

Deno.test("chat goes on in plain text where there is no chat template", async () => {
  await withFolder(async (folder) => {
    for (const file of ["config.json", "model.safetensors", "tokenizer.json"]) {
      await Deno.copyFile(`${EMBEDDED}/base/${file}`, `${folder}/${file}`);
    }
    const plain = ["--base", folder, "--finetuned", `${EMBEDDED}/organisms/cake_bake`, ...GREEDY];
    const { code, out, err } = await cli(["chat", ...plain, "--prompt", QUESTION, "--json"]);
    assertEquals(code, 0, err);
    assertStringIncludes(err, "The models have no chat template: they continue plain text");
    const { base } = JSON.parse(out);
    const generate = ["generate", "--model", folder, "--prompt", `User: ${QUESTION}\nAssistant:`];
    const { sequences: [{ ids }] } = await cliJson([...generate, ...GREEDY]);
    assertEquals(base.ids, ids);
    assertMatch(
      refusal(await cli(["chat", ...plain, "--prompt", QUESTION, "--thinking"])),
      /^Cannot use --thinking: neither ".+" nor ".+" has a chat template$/,
    );
  });
});

Deno.test("chat says what is wrong with a question or the models", async () => {
  const question = "one two three ".repeat(100);
  assertMatch(
    refusal(await cli(["chat", "--prompt", question])),
    /^Cannot ask that: it takes \d+ tokens, and the model's context is 256; ask something shorter$/,
  );
  assertMatch(
    refusal(await cli(["chat", "--organism", "cake_bake", "--base", "embedded:base"])),
    /^Cannot use --organism with --base/,
  );
});
