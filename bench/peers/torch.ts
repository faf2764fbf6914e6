/** `deno run -A bench/peers/torch.ts`: the mean difference of two models by us and by PyTorch, on the same weights and documents. */

import { type Command, type Flags, parseCommand } from "../../cli/args.ts";
import { DEVICE_FLAGS, openGpu } from "../../cli/common_flags.ts";
import { runCommand } from "../../cli/run_command.ts";
import { relativeL2 } from "../../engine/audit/model_run.ts";
import { layersAt, meanDifference } from "../../lens/diff.ts";
import { loadFinetuned, loadModel } from "../../models/load_model.ts";
import { loadedPair } from "../../models/model_shelf.ts";
import { resolveSource } from "../../models/source.ts";
import { BenchContext, someTokens } from "../context.ts";
import { writeRandomAdapter } from "../large/random_model.ts";
import { Clock, median } from "../../engine/gpu/measure.ts";
import { PRINT_FLAGS, printRows } from "../print_rows.ts";
import { row } from "../row.ts";
import { type ShapeName, shapeNames, SHAPES } from "../shapes.ts";
import { endWithUs } from "./process.ts";

const COMMAND = {
  usage: "deno run -A bench/peers/torch.ts",
  summary: "Takes the mean difference of a random model and a LoRA of it, by us and by PyTorch.",
  flags: {
    backend: DEVICE_FLAGS.backend,
    models: { kind: "list", default: ["1B"], help: "sizes of models, with random weights" },
    documents: { kind: "int", default: 256, min: 2, help: "documents to compare on" },
    tokens: { kind: "int", default: 128, min: 1, help: "tokens of a document" },
    python: { kind: "string", default: "python3", help: "the interpreter that has torch" },
    folder: { kind: "string", required: true, placeholder: "DIR", help: "where weights are kept" },
    ...PRINT_FLAGS,
  },
  examples: [{
    command: "deno run -A bench/peers/torch.ts --models 1B,1.7B --folder /tmp/weights",
    does: "both, on a machine with PyTorch",
  }],
} as const satisfies Command<Flags>;

const DTYPES = ["float32", "bfloat16"] as const;

/** What PyTorch is given, as torch_diff.py tells. */
interface TorchJob {
  base: string;
  adapter: string;
  documents: number[][];
  layer: number;
  batch: number;
  dtype: typeof DTYPES[number];
  delta: string;
}

/** Seconds and δ of PyTorch, or why there are none. */
async function byTorch(
  python: string,
  folder: string,
  job: Omit<TorchJob, "delta">,
): Promise<{ seconds: number; delta: Float32Array; device: string } | { error: string }> {
  const [file, delta] = [`${folder}/torch_job.json`, `${folder}/torch_delta.bin`];
  await Deno.writeTextFile(file, JSON.stringify({ ...job, delta }));
  const script = new URL("torch_diff.py", import.meta.url).pathname;
  try {
    const command = new Deno.Command(python, {
      args: [script, file],
      stdout: "piped",
      stderr: "piped",
    });
    const { success, stdout, stderr } = await endWithUs(command.spawn()).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    if (!success) return { error: text(stderr).split("\n").at(-1) ?? "it failed" };
    const answer = JSON.parse(text(stdout));
    if (answer.error) return answer;
    const values = new Float32Array((await Deno.readFile(delta)).buffer);
    return {
      seconds: answer.seconds,
      delta: values,
      device: `${answer.device}, torch ${answer.torch}`,
    };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** How far δ by f32 may be from ours; bf16 is told, not held to anything. */
const BOUND = 1e-3;

/** Adds rows of ours, of PyTorch's, and of one to the other. */
async function compareDiff(
  context: BenchContext,
  name: ShapeName,
  { documents: count, tokens, python }: { documents: number; tokens: number; python: string },
): Promise<void> {
  const { gpu } = context;
  const config = SHAPES[name];
  const folder = await context.modelFolder(name);
  const adapter = `${folder}/lora`;
  await writeRandomAdapter(adapter, config, 16, 2);
  const base = await loadModel(gpu, await resolveSource(folder));
  const tuned = await loadFinetuned(gpu, base, await resolveSource(adapter));
  const [layer] = layersAt(["0.5"], config.num_hidden_layers);
  const documents = Array.from(
    { length: count },
    (_, d) => someTokens(tokens, config.vocab_size, d),
  );
  const models = loadedPair(base.transformer, tuned.transformer);
  const ours = (documents: number[][]) =>
    meanDifference(gpu, { models, documents, layers: [layer] });
  await ours(documents.slice(0, 8)); // compiles
  const times: number[] = [];
  let delta = new Float32Array();
  for (let turn = 0; turn < 3; turn++) {
    const start = performance.now();
    [{ delta }] = await ours(documents);
    times.push((performance.now() - start) / 1000);
  }
  tuned.transformer.destroy();
  base.transformer.destroy();
  gpu.buffers.trim(); // makes room for PyTorch
  const speed = count / median(times);
  const label = `torch/diff/${name}`;
  const add = (...of: Parameters<typeof row>) => context.add(row(...of));
  add(`${label}/ours`, speed, "documents/s", { timed: "wall" });
  for (const dtype of DTYPES) {
    const job = { base: folder, adapter, documents, layer, batch: 32, dtype };
    const peer = await byTorch(python, folder, job);
    if ("error" in peer) {
      add(`${label}/${dtype}`, NaN, "documents/s", { note: `left out: ${peer.error}` });
      continue;
    }
    const error = relativeL2(delta, peer.delta);
    const note = `${peer.device}; our δ is within ${error.toExponential(0)} of its`;
    if (dtype === "float32" && !(error <= BOUND)) {
      add(`${label}/${dtype}`, NaN, "documents/s", { note: `left out: ${note}` });
      continue;
    }
    add(`${label}/${dtype}`, count / peer.seconds, "documents/s", { timed: "wall", note });
    const ratio = speed / (count / peer.seconds);
    add(`${label}/ours:${dtype}`, ratio, "×", { aim: "≥ 10" });
  }
}

async function main(args: string[], signal: AbortSignal): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags } = parsed;
  const models = shapeNames(flags.models);
  using gpu = await openGpu({ ...flags, memoryBudget: undefined });
  const options = { only: [], models, quick: false, folder: flags.folder };
  const context = new BenchContext(gpu, Clock.byHost(gpu), options);
  const all = async () => {
    for (const name of models) await compareDiff(context, name, flags);
  };
  await printRows(gpu, context.rows, all(), flags, signal);
  return 0;
}

if (import.meta.main) await runCommand(({ signal }) => main(Deno.args, signal));
