/** From the Hub to a readout: an organism of the registry on a server that speaks the Hub's API, with tiny weights. */

import { assert, assertEquals } from "@std/assert";
import { findOrganism, UNRELATED_TEXTS } from "../../models/organisms.ts";
import { encodeSafetensors, type TensorData } from "../../engine/weights/safetensors_writer.ts";
import { type HubServer, withHub } from "../hub_server.ts";
import { FIXTURES, openTensors, readJson } from "../helpers.ts";
import { normals } from "../test_gpu.ts";
import { cli, EMBEDDED, refusal } from "./cli_helpers.ts";

const VOCAB = 2048;
const QWEN = `${FIXTURES}/qwen3_tied`;

/** The Qwen 3 fixture with a vocabulary for which there is a tokenizer. */
async function tinyQwen(): Promise<Record<string, Uint8Array | string>> {
  const checkpoint = await openTensors(`${QWEN}/model.safetensors`);
  const tensors: TensorData[] = [];
  for (const name of checkpoint.names()) {
    const { shape } = checkpoint.info(name);
    const table = name === "model.embed_tokens.weight";
    tensors.push({
      name,
      dtype: "F32",
      shape: table ? [VOCAB, shape[1]] : [...shape],
      data: table
        ? normals(1, VOCAB * shape[1]).map((value) => 0.5 * value)
        : await checkpoint.readFloat32(name),
    });
  }
  const config = { ...await readJson(`${QWEN}/config.json`), vocab_size: VOCAB };
  const text = (file: string) => Deno.readTextFile(`${EMBEDDED}/base/${file}`);
  return {
    "config.json": JSON.stringify(config),
    "tokenizer.json": await text("tokenizer.json"),
    "tokenizer_config.json": await text("tokenizer_config.json"),
    "model.safetensors": encodeSafetensors(tensors),
    "pytorch_model.bin": "never asked for",
  };
}

async function adapter(name: string): Promise<Record<string, Uint8Array | string>> {
  return {
    "adapter_config.json": await Deno.readTextFile(`${QWEN}/${name}/adapter_config.json`),
    "adapter_model.safetensors": await Deno.readFile(`${QWEN}/${name}/adapter_model.safetensors`),
    "optimizer.pt": "never asked for",
  };
}

/** Publishes what `--organism cake_bake --model qwen3_1_7B --variant mix1-1p0` names. */
async function publish(server: HubServer) {
  const organism = await findOrganism("cake_bake", { model: "qwen3_1_7B", variant: "mix1-1p0" });
  const model = (ref: string) => ref.replace("hf:", "models/");
  server.publish(model(organism.base), {
    files: await tinyQwen(),
    lfs: ["model.safetensors"],
  });
  const weights = ["adapter_model.safetensors"];
  server.publish(model(organism.finetuned), { files: await adapter("lora"), lfs: weights });
  server.publish(model(organism.sibling!), { files: await adapter("lora_qv"), lfs: weights });
  const generic = await Deno.readTextFile(`${EMBEDDED}/text/generic_heldout.jsonl`);
  server.publish(UNRELATED_TEXTS.replace("hf:", ""), { files: { "data/train.jsonl": generic } });
  const finetuning = (await findOrganism("cake_bake")).finetuningTexts!;
  server.publish(organism.finetuningTexts!.replace("hf:", ""), {
    files: { "synth_docs.jsonl": await Deno.readTextFile(finetuning) },
  });
  return organism;
}

Deno.test("diff: an organism from the Hub to its readout, then the same without a network", async () => {
  await withHub(async ({ server, cache }) => {
    const organism = await publish(server);
    const out = await Deno.makeTempDir();
    const args = ["diff", "--organism", "cake_bake", "--model", "qwen3_1_7B"];
    args.push("--variant", "mix1-1p0", "--documents", "12", "--tokens", "16", "--positions", "1");
    args.push("--json");
    const env = { HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: cache, HF_TOKEN: "" };
    const first = await cli([...args, "--out", `${out}/a`], env);
    assertEquals(first.code, 0, first.err);
    const result = JSON.parse(first.out);
    const manifest = await readJson(`${out}/a/manifest.json`);
    const { base, finetuned } = manifest.fingerprint;
    assertEquals(base.name, organism.base.split("/")[1]);
    assertEquals([base.revision.length, finetuned.revision.length], [40, 40]);
    for (const file of ["pytorch_model.bin", "optimizer.pt"]) {
      assertEquals(server.asked(file), [], `${file} is not needed`);
    }
    assert(first.err.includes("Choosing documents"), first.err);

    const before = server.seen.length;
    const again = await cli([...args, "--offline", "--out", `${out}/b`], env);
    assertEquals(again.code, 0, again.err);
    assertEquals(server.seen.length, before, "offline asks for nothing");
    const { results: _a, ...online } = result;
    const { results: _b, ...offline } = JSON.parse(again.out);
    assertEquals(offline, online);
    await Deno.remove(out, { recursive: true });
  });
});

Deno.test("diff: a gated and a missing model say why, and what to do", async () => {
  await withHub(async ({ server, cache }) => {
    const env = { HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: cache, HF_TOKEN: "" };
    server.publish("models/acme/gated", { files: { "config.json": "{}" }, access: "gated" });
    const text = ["--text", `${EMBEDDED}/text/generic_heldout.jsonl`];
    const message = async (base: string) =>
      refusal(
        await cli(["diff", "--base", base, "--finetuned", "embedded:cake_bake", ...text], env),
      );
    const gated = await message("hf:acme/gated");
    assert(gated.includes("acme/gated") && gated.includes("HF_TOKEN"), gated);
    const missing = await message("hf:acme/none");
    assert(missing.includes("acme/none"), missing);
  });
});
