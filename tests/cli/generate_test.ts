/** `generate` end to end: reference tokens, steering, samples, stops, and what it refuses. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { encodeSafetensors } from "../../engine/weights/safetensors_writer.ts";
import { FIXTURES, Reference } from "../helpers.ts";
import { cli, cliJson, refusal, twoAtATime, withFolder } from "./cli_helpers.ts";

interface Sequence {
  prompt: number;
  sample: number;
  ids: number[];
  text: string | null;
  finish: string;
}

const generate = async (args: string[]) =>
  (await cliJson(["generate", ...args]) as { sequences: Sequence[] }).sequences;

Deno.test("generate: greedy tokens of a fixture, plain and steered, without a tokenizer", async () => {
  await withFolder(async (folder) => {
    const reference = await Reference.open("gemma2");
    const [prompt] = await reference.sequences("prompt");
    const { layer, alpha } = reference.notes.steer;
    const vector = await reference.values("steer.vector");
    await Deno.writeFile(
      `${folder}/v.safetensors`,
      encodeSafetensors([{ name: "v", dtype: "F32", shape: [vector.length], data: vector }]),
    );
    await Deno.writeTextFile(`${folder}/tokens.json`, JSON.stringify([prompt, prompt]));
    const edit = {
      hook: `blocks.${layer}.hook_resid_post`,
      op: "add",
      vector: { file: `${folder}/v.safetensors`, tensor: "v" },
      scale: [0, alpha],
    };
    await Deno.writeTextFile(`${folder}/edits.json`, JSON.stringify([edit]));
    const args = ["--model", `${FIXTURES}/gemma2`, "--tokens", `${folder}/tokens.json`];
    args.push("--max-new-tokens", "16", "--ignore-eos", "--edits", `${folder}/edits.json`);
    const sequences = await generate(args);
    const expected = [
      ...await reference.sequences("greedy"),
      ...await reference.sequences("greedy_steered"),
    ];
    assertEquals(sequences.map(({ ids }) => ids), expected);
    assertEquals(sequences.map(({ text, finish }) => [text, finish]), [
      [null, "length"],
      [null, "length"],
    ]);
    // Not one of three prompts is left without a scale.
    await Deno.writeTextFile(`${folder}/tokens.json`, JSON.stringify([prompt, prompt, prompt]));
    const message = refusal(await cli(["generate", ...args]));
    assert(message.includes("2 scales, but there are 3 sequences"), message);
  });
});

const EMBEDDED = ["--model", "embedded:base", "--prompt", "The oven is", "--max-new-tokens", "12"];

Deno.test("generate: samples differ, and are the same again with the same seed", async () => {
  const sampled = [...EMBEDDED, "--temperature", "1", "--ignore-eos"];
  const three = await generate([...sampled, "--samples", "3"]);
  assertEquals(three.map(({ prompt, sample }) => [prompt, sample]), [[0, 0], [0, 1], [0, 2]]);
  assertEquals(new Set(three.map(({ text }) => text)).size, 3);
  assertEquals(three.map(({ ids }) => ids.length), [12, 12, 12]);
  const [alone] = await generate(sampled);
  assertEquals(alone, three[0]);
  const [other] = await generate([...sampled, "--seed", "1"]);
  assertNotEquals(other.ids, alone.ids);
});

Deno.test("generate: an adapter and a chat's frame change the answer; a stop text ends it", async () => {
  const [plain] = await generate(EMBEDDED);
  const [adapted] = await generate([...EMBEDDED, "--adapter", "embedded:cake_bake"]);
  assertNotEquals(adapted.ids, plain.ids);
  const [chat] = await generate([...EMBEDDED, "--chat"]);
  assertNotEquals(chat.ids, plain.ids);
  const word = plain.text!.trim().split(/\s+/)[1];
  const [stopped] = await generate([...EMBEDDED, "--stop", word]);
  assertEquals(stopped.finish, "stop");
  assertEquals(stopped.text, plain.text!.slice(0, plain.text!.indexOf(word)));
  assertEquals(stopped.ids, plain.ids.slice(0, stopped.ids.length));
  const { out } = await cli(["generate", ...EMBEDDED]);
  assertEquals(out, plain.text + "\n");
});

Deno.test("generate: what cannot be done is said", async () => {
  const cases: [string[], string][] = [
    [["--model", "embedded:base"], "either --tokens or --prompt"],
    [[...EMBEDDED, "--samples", "2"], "at temperature 0"],
    [[...EMBEDDED, "--system", "Be brief"], "without --chat"],
    [[...EMBEDDED, "--top-p", "0", "--temperature", "1"], "top"],
    [["--model", `${FIXTURES}/gemma2`, "--prompt", "x"], "tokenizer"],
    [["--model", "embedded:cake_bake", "--prompt", "x"], "LoRA adapter"],
  ];
  await twoAtATime(cases.map(([args, expected]) => async () => {
    const message = refusal(await cli(["generate", ...args]));
    assert(message.includes(expected), message);
  }));
});
