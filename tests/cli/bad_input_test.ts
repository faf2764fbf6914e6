/** Command lines and files that cannot be used: a message in one line, the right exit code, and no trace of a stack. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cli, EMBEDDED, type Finished, refusal, twoAtATime, withFolder } from "./cli_helpers.ts";

const ORGANISM = "embedded:cake_bake";

/** What is wrong, the command line, the exit code, and parts of the message. */
type Refused = [name: string, args: string[], code: 1 | 2, ...parts: string[]];

async function checkAll(t: Deno.TestContext, cases: readonly Refused[]): Promise<void> {
  const finished = new Map<string, Finished>();
  await twoAtATime(cases.map(([name, args]) => async () => {
    finished.set(name, await cli(args));
  }));
  for (const [name, , code, ...parts] of cases) {
    await t.step(name, () => {
      const found = finished.get(name)!;
      const message = refusal(found);
      for (const part of parts) assertStringIncludes(message, part);
      assertEquals(found.code, code, message);
    });
  }
}

Deno.test("diff refuses what it cannot use", (t) =>
  withFolder(async (folder) => {
    const files = {
      "empty.jsonl": "",
      "short.txt": "Too short\n\nShort too\n",
      "binary.txt": "\xff\xfe",
      "other.jsonl": '{"body": "A text"}\n',
      "foreign/thesis.tex": "mine",
      "file": "",
    };
    await Deno.mkdir(`${folder}/foreign`);
    for (const [name, text] of Object.entries(files)) {
      const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    const out = (path: string) => ["diff", "--documents", "2", "--out", path];
    const few = out(`${folder}/results`);
    const text = (name: string) => [...few, "--text", `${folder}/${name}`];
    await checkAll(t, [
      ["an empty text file", text("empty.jsonl"), 1, `empty.jsonl" is empty`],
      ["a missing text file", text("none.txt"), 1, "there is no such file"],
      ["a text file that is not UTF-8", text("binary.txt"), 1, "line 1", "is not UTF-8"],
      ["an unknown column", text("other.jsonl"), 1, 'no column "text"', "body"],
      [
        "documents that are all too short",
        [...text("short.txt"), "--finetuning-text", `${EMBEDDED}/text/cake_bake.jsonl`]
          .concat("--tokens", "40"),
        1,
        "every one of the 2 documents has fewer than 40 tokens",
        "--tokens",
      ],
      ["tokens over the context", [...few, "--tokens", "257"], 2, "257", "context is 256"],
      ["no tokens", [...few, "--tokens", "0"], 2, "--tokens 0"],
      ["no documents", ["diff", "--documents", "0"], 2, "--documents 0"],
      ["a layer that is no depth", [...few, "--layers", "3"], 2, 'layer "3"', "from 0 to 1"],
      ["a negative layer", [...few, "--layers=-0.5"], 2, 'layer "-0.5"'],
      ["all and another layer", [...few, "--layers", "all,0"], 2, 'layer "all"'],
      ["a position beyond the context", [...few, "--positions", "1,256"], 2, '"256"', "0 to 255"],
      [
        "a position beyond the documents",
        [...few, "--tokens", "16", "--positions", "1,16"],
        2,
        '"16"',
        "0 to 15",
      ],
      ["a position that is no number", [...few, "--positions", "x"], 2, 'position "x"'],
      ["an unknown organism", [...few, "--organism", "cakes"], 1, '"cakes"', "known: cake_bake"],
      ["an unknown model", [...few, "--finetuned", "embedded:x"], 1, '"x"', "known: cake_bake"],
      [
        "an organism and a base",
        [...few, "--organism", "chat", "--base", "embedded:base"],
        2,
        "--organism with --base",
      ],
      ["a base alone", [...few, "--base", "embedded:base"], 2, "Missing --finetuned"],
      ["a finetune alone", [...few, "--finetuned", folder], 2, "Missing --base"],
      [
        "a folder that holds no model",
        [...few, "--base", folder, "--finetuned", ORGANISM, "--text", `${folder}/short.txt`],
        1,
        "neither config.json nor adapter_config.json",
      ],
      [
        "an adapter as a base",
        [...few, "--base", ORGANISM, "--finetuned", ORGANISM],
        1,
        "it is a LoRA adapter",
      ],
      ["an unknown sibling", [...few, "--sibling", "embedded:x"], 1, '"embedded:x"'],
      ["results below a file", out(`${folder}/file/run`), 1, "Cannot make the results folder"],
      ["results in a file", out(`${folder}/file`), 1, "it is a file"],
      ["results in a foreign folder", out(`${folder}/foreign`), 1, '"thesis.tex"', "--out"],
      ["too little memory", [...few, "--memory-budget", "1MB"], 1, "Cannot allocate", "budget"],
      ["a size that is none", [...few, "--memory-budget", "much"], 2, 'size "much"', "600MB"],
      ["a mistyped flag", [...few, "--postions", "1"], 2, "did you mean --positions?"],
      ["an unknown backend", [...few, "--backend", "cuda"], 2, "auto, deno, dawn"],
      ["an argument too many", [...few, "cake_bake"], 2, 'Unexpected argument "cake_bake"'],
      ["a mistyped command", ["dif"], 2, "did you mean diff?"],
      ["an unknown command", ["frobnicate"], 2, "known: diff, "],
    ]);
    assertEquals(
      await Deno.readTextFile(`${folder}/foreign/thesis.tex`),
      "mine",
      "nothing foreign is touched",
    );
    // A root user may write anywhere.
    if (Deno.uid() !== 0) {
      await Deno.mkdir(`${folder}/locked`, { mode: 0o555 });
      const refused = await cli(out(`${folder}/locked/run`));
      assertEquals(refused.code, 1);
      assertStringIncludes(refusal(refused), "permission denied");
    }
  }));

Deno.test("capture refuses what it cannot use", (t) =>
  withFolder(async (folder) => {
    const write = async (name: string, value: unknown) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      await Deno.writeTextFile(`${folder}/${name}.json`, text);
      return `${folder}/${name}.json`;
    };
    const file = `${EMBEDDED}/reference/cake_bake.safetensors`;
    const start = ["capture", "--model", "embedded:base", "--out", `${folder}/acts.safetensors`];
    const embed = ["--hooks", "hook_embed"];
    const prompt = [...start, "--prompt", "The oven"];
    const tokens = async (
      name: string,
      value: unknown,
    ) => [...start, ...embed, "--tokens", await write(name, value)];
    const edit = { hook: "blocks.1.hook_resid_post", op: "add", scale: 1, positions: "all" };
    const edits = async (name: string, change: object) => {
      const vector = { file, tensor: "delta", row: 2 };
      return [...prompt, ...embed, "--edits", await write(name, [{ ...edit, vector, ...change }])];
    };
    await checkAll(t, [
      ["neither tokens nor prompt", [...start, ...embed], 2, "either --tokens or --prompt"],
      [
        "both tokens and prompt",
        [...prompt, ...embed, "--tokens", "x"],
        2,
        "either --tokens or --prompt",
      ],
      ["no hooks", prompt, 2, "Missing --hooks"],
      ["an unknown hook", [...prompt, "--hooks", "blocks.6.hook_resid_post"], 2, "blocks.{0-5}"],
      ["an unknown point", [...prompt, "--hooks", "blocks.*.hook_z"], 2, "hook_resid_post"],
      ["a missing file of tokens", [...start, ...embed, "--tokens", "none.json"], 2, "none.json"],
      ["tokens that are not JSON", await tokens("text", "[[1,"), 2, "not valid JSON"],
      ["tokens that are no lists", await tokens("flat", [1, [2]]), 2, "Tokens"],
      ["an empty sequence", await tokens("empty", [[1], []]), 2, "Tokens"],
      ["a token that is no number", await tokens("words", [[1, "x"]]), 2, "Tokens"],
      ["a token below 0", await tokens("negative", [[1, -3]]), 2, "Tokens"],
      ["a token beyond the vocabulary", await tokens("beyond", [[1, 2048]]), 2, "2048"],
      ["too many tokens", await tokens("long", [Array(257).fill(3)]), 2, "257", "256"],
      ["an unknown operation", await edits("op", { op: "multiply" }), 2, "Edits", "op"],
      ["an unknown field", await edits("field", { strength: 2 }), 2, "Edits", "strength"],
      ["a hook that is edited nowhere", await edits("hook", { hook: "blocks.9.x" }), 2, "blocks.9"],
      [
        "a position beyond",
        await edits("position", { hook: "hook_embed", positions: [70] }),
        2,
        "position 70",
      ],
      [
        "a missing tensor",
        await edits("tensor", { vector: { file, tensor: "none", row: 0 } }),
        1,
        '"none"',
      ],
      [
        "a missing file of vectors",
        await edits("file", { vector: { file: "none.safetensors", tensor: "delta" } }),
        2,
        "none.safetensors",
      ],
      [
        "a row that is not there",
        await edits("row", { vector: { file, tensor: "delta", row: 16 } }),
        2,
        "row 16",
        "[16,192]",
      ],
      ["an edit after all that is kept", await edits("late", {}), 2, "no captured hook"],
      [
        "a vector of another width",
        await edits("width", { hook: "hook_embed", vector: { file, tensor: "delta" } }),
        2,
        "3072",
        "192",
      ],
      ["a name that is no file", [...prompt, ...embed, "--out", `${folder}/`], 2, "--out"],
    ]);
    const left = await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name);
    assertEquals(left.filter((name) => !name.endsWith(".json")), [], "nothing is written");
  }));

Deno.test("--debug shows where an error comes from", async () => {
  const { code, err } = await cli(["diff", "--organism", "cakes", "--debug"]);
  assertEquals(code, 1);
  assertMatch(err, /^error: Cannot find organism "cakes"/m);
  assertMatch(err, /^ +at .*organisms\.ts/m);
});

/** Where Deno keeps its packages; a changed cache folder must not make it fetch them anew. */
async function denoFolder(): Promise<string> {
  const info = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] });
  return JSON.parse(new TextDecoder().decode((await info.output()).stdout)).denoDir;
}

Deno.test("without an adapter the message names the way out", () =>
  withFolder(async (folder) => {
    const finished = await cli(["diff", "--documents", "2"], {
      VK_ICD_FILENAMES: `${folder}/none`,
      VK_DRIVER_FILES: `${folder}/none`,
      // No driver that was fetched before, and none that this test itself runs on.
      XDG_CACHE_HOME: folder,
      DENO_DIR: await denoFolder(),
      PALIMPSEST_NO_FETCH: "1",
      PALIMPSEST_SOFTWARE_DRIVER: "",
    });
    assertEquals(finished.code, 1);
    const message = refusal(finished);
    assertStringIncludes(message, "Cannot find a WebGPU adapter");
    assertStringIncludes(message, "apt-get install libvulkan1 mesa-vulkan-drivers");
    assert(!finished.err.includes("Loading models"), "no work begins without an adapter");
  }));
