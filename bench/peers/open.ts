/** Opens the peers on one model: their files are written beside its weights, and each gets a process of its own. */

import type { Transformer } from "../../engine/transformer.ts";
import { type ShapeName, SHAPES } from "../shapes.ts";
import { writeGguf } from "./gguf.ts";
import type { Installed } from "./install.ts";
import { encodeOnnx } from "./onnx.ts";
import { Ours } from "./ours.ts";
import { PeerProcess } from "./process.ts";
import { type Answer, type Job, work } from "./worker.ts";

/** Names that may be asked for. */
export const PEERS = ["onnxruntime", "llama-vulkan", "llama-cpu"] as const;
export type PeerName = typeof PEERS[number];

/** One that takes jobs. */
export interface OpenPeer {
  name: PeerName | "ours";
  ask(job: Job): Promise<Answer>;
  stop(): Promise<void>;
  /** How far its logits may be from ours, as a share of their largest; bf16 activations and f16 keys are not f32. */
  tolerance: number;
}

/** Ours, in this process. */
export function openOurs(model: Transformer): OpenPeer {
  const ours = new Ours(model);
  return {
    name: "ours",
    ask: (job) => work(ours, job),
    stop: () => Promise.resolve(),
    tolerance: 0,
  };
}

/**
 * A peer with its model.
 *
 * @param sequences how many it must take at once
 */
export async function openPeer(
  peer: PeerName,
  installed: Installed,
  shape: ShapeName,
  folder: string,
  sequences: number,
): Promise<OpenPeer> {
  const config = SHAPES[shape];
  const open = async (worker: string, args: (string | number)[], tolerance: number) => {
    // llama.cpp takes a software device of Vulkan only when it is asked for by its number.
    const env = { GGML_VK_VISIBLE_DEVICES: "0" };
    const process = await PeerProcess.start(worker, args.map(String), env);
    return {
      name: peer,
      ask: (job: Job) => process.ask(job),
      stop: () => process.stop(),
      tolerance,
    };
  };
  if (peer === "onnxruntime") {
    const file = `${folder}/model.onnx`;
    await Deno.writeFile(file, await encodeOnnx(folder, config));
    const { num_hidden_layers: layers, num_key_value_heads: kvHeads, head_dim: head } = config;
    return await open("ort_worker.ts", [installed.ort, file, layers, kvHeads, head], 1e-4);
  }
  if (!installed.llama) throw new Error("there is no prebuilt addon for this platform");
  const vulkan = peer === "llama-vulkan";
  const dtype = vulkan ? "f32" : "bf16";
  const file = `${folder}/${dtype}.gguf`;
  await writeGguf(folder, config, dtype, file);
  const addon = vulkan ? installed.llama.vulkan : installed.llama.cpu;
  const layers = vulkan ? config.num_hidden_layers + 1 : 0;
  return await open("llama_worker.ts", [addon, file, layers, sequences], vulkan ? 5e-3 : 5e-2);
}
