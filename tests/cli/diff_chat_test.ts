/** `diff` end to end: chats, and texts out of Parquet files and the Hub. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openSafetensors } from "../../engine/weights/safetensors.ts";
import { memorySource } from "../../engine/weights/byte_source.ts";
import { HubServer } from "../hub_server.ts";
import { cli, cliJson, readTensors, refusal, withFolder } from "./cli_helpers.ts";

const FIXTURES = new URL("../fixtures/parquet/", import.meta.url).pathname;

// deno-lint-ignore no-explicit-any
const positionsOf = (json: any) => json.positions.map((at: any) => at.position);

const SHORT = ["--tokens", "4", "--layers", "1", "--sibling", "none"];

Deno.test("diff --chat: positions around the beginning of the answer", async () => {
  await withFolder(async (out) => {
    const flags = ["--documents", "6", "--tokens", "8", "--layers", "1", "--sibling", "none"];
    const args = ["diff", "--chat", ...flags, "--out", out];
    const json = await cliJson([...args, "--positions", "-3--1,7"]);
    assertEquals([positionsOf(json), json.documents], [[-3, -2, -1, 7], 6]);
    const bytes = await Deno.readFile(`${out}/diff.safetensors`);
    const { metadata } = await openSafetensors(memorySource("diff.safetensors", bytes));
    assertEquals(metadata.positions, "-3,-2,-1,0,1,2,3,4,5,6,7");
    const tensors = await readTensors(`${out}/diff.safetensors`);
    const delta = tensors.get("blocks.5.hook_resid_post.delta")!;
    assertEquals([...delta.shape], [11, 192]);
    const norm = (row: number) => Math.hypot(...delta.values.subarray(row * 192, (row + 1) * 192));
    for (const [i, row] of [0, 1, 2, 10].entries()) {
      assert(Math.abs(json.positions[i].delta_norm - norm(row)) < 1e-5 * norm(row), `${row}`);
    }
    const norms = tensors.get("blocks.5.hook_resid_post.finetuned_norm")!.values;
    const typical = (norms[8] + norms[9] + norms[10]) / 3;
    assert(Math.abs(json.typical_norm - typical) < 1e-4 * typical, "positions 5 to 7");
    const kept = JSON.parse(await Deno.readTextFile(`${out}/readout_5.json`));
    assertEquals(positionsOf(kept), [-3, -2, -1, 7]);
    const { fingerprint } = JSON.parse(await Deno.readTextFile(`${out}/manifest.json`));
    assertEquals([fingerprint.chat, fingerprint.positions], [true, [-3, -2, -1, 7]]);

    const outside = await cli([...args, "--positions", "-4"]);
    assertStringIncludes(
      refusal(outside),
      'position "-4": expected numbers and ranges from -3 to 7',
    );
  });
});

Deno.test("diff: texts of a Parquet file, in the order of the seed or their own", async () => {
  await withFolder(async (folder) => {
    const text = ["--text", `${FIXTURES}text_groups.parquet`, "--documents", "5"];
    const run = async (name: string, ...more: string[]) => {
      const out = `${folder}/${name}`;
      await cliJson(["diff", ...SHORT, ...text, "--positions", "2", "--out", out, ...more]);
      const { fingerprint } = JSON.parse(await Deno.readTextFile(`${out}/manifest.json`));
      return {
        bytes: await Deno.readFile(`${out}/diff.safetensors`),
        read: fingerprint.texts.text,
      };
    };
    const first = await run("first", "--seed", "3");
    const [file] = first.read.files;
    assertEquals([file.row_groups, file.sha256.length], [[1], 64]);
    const ordered = await run("ordered", "--no-shuffle");
    assertEquals(ordered.read.files[0].row_groups, [0]);
    assert(ordered.bytes.some((byte, i) => byte !== first.bytes[i]));
  });
});

Deno.test("diff --chat: chats of a dataset of the Hub", async () => {
  await using server = new HubServer();
  const files = { "data/train-0.parquet": await Deno.readFile(`${FIXTURES}chats.parquet`) };
  const commit = server.publish("datasets/acme/chats", { files, lfs: Object.keys(files) });
  await withFolder(async (folder) => {
    const text = ["--text", "hf:datasets/acme/chats", "--documents", "20"];
    const args = ["diff", "--chat", ...SHORT, ...text, "--positions=-1,0", "--json"];
    const env = { HF_ENDPOINT: server.endpoint, HF_HOME: `${folder}/home` };
    const { code, out, err } = await cli([...args, "--out", `${folder}/run`], env);
    assertEquals(code, 0, err);
    assertEquals(positionsOf(JSON.parse(out)), [-1, 0]);
    assertStringIncludes(err, "of 20 documents have an answer of 4 tokens");
    const { fingerprint, steps } = JSON.parse(
      await Deno.readTextFile(`${folder}/run/manifest.json`),
    );
    const { dataset, commit: read, files: [file] } = fingerprint.texts.text;
    assertEquals([dataset, read, file.file], [
      "hf:datasets/acme/chats",
      commit,
      "data/train-0.parquet",
    ]);
    const reasons = steps.diff.dropped_by_reason;
    assertEquals(reasons["without a user turn that is followed by an answer"], 3);
  });
});
