/** `deno task bench:peers`: llama.cpp and ONNX Runtime on the same weights and the same adapter, side by side with ours. */

import { type Command, type Flags, parseCommand } from "../../cli/args.ts";
import { DEVICE_FLAGS, openGpu } from "../../cli/common_flags.ts";
import { runCommand } from "../../cli/run_command.ts";
import { UsageError } from "../../engine/errors.ts";
import { checkModel } from "../check_model.ts";
import { BenchContext, someTokens } from "../context.ts";
import { Clock } from "../../engine/gpu/measure.ts";
import { PRINT_FLAGS, printRows } from "../print_rows.ts";
import type { Row } from "../row.ts";
import { type ShapeName, shapeNames, SHAPES } from "../shapes.ts";
import { checkPeer, compare, JOBS, leftOut, SEQUENCES } from "./compare.ts";
import { type Installed, installPeers } from "./install.ts";
import { openOurs, type OpenPeer, openPeer, type PeerName, PEERS } from "./open.ts";

const COMMAND = {
  usage: "deno task bench:peers",
  summary:
    "Runs llama.cpp and ONNX Runtime on the same random weights and adapter as ours, side by side.",
  flags: {
    backend: DEVICE_FLAGS.backend,
    models: {
      kind: "list",
      default: ["3M", "30M"],
      help: `sizes of models, with random weights: ${Object.keys(SHAPES).join(", ")}`,
    },
    peers: { kind: "list", default: [...PEERS], help: "whom to compare with" },
    jobs: { kind: "list", default: [...JOBS], help: "what to time" },
    turns: { kind: "int", default: 3, min: 1, max: 100, help: "turns of which medians are taken" },
    prompt: { kind: "int", default: 512, min: 1, max: 1024, help: "tokens of the prompt" },
    folder: {
      kind: "string",
      placeholder: "DIR",
      help: "keep the weights there (default: a temporary folder)",
    },
    ...PRINT_FLAGS,
  },
  examples: [
    {
      command: "deno task bench:peers",
      does: "everything; on CPU cores llama.cpp compiles its Vulkan pipelines for a minute or more",
    },
    {
      command: "deno task bench:peers --models 3M --peers onnxruntime",
      does: "one model and one peer",
    },
  ],
} as const satisfies Command<Flags>;

/** Adds the rows of one model. */
async function comparePeers(
  context: BenchContext,
  shape: ShapeName,
  installed: Installed,
  { peers, jobs, turns, prompt, add }: {
    peers: readonly PeerName[];
    jobs: readonly string[];
    turns: number;
    prompt: number;
    add: (row: Row) => void;
  },
): Promise<void> {
  const model = await context.model(shape);
  const folder = await context.modelFolder(shape);
  const { vocabSize } = model.spec;
  await checkModel(context, shape, model, someTokens(32, vocabSize, 1));
  const opened: OpenPeer[] = [openOurs(model)];
  const errors = new Map<string, number>();
  try {
    for (const name of peers) {
      let peer: OpenPeer | undefined;
      try {
        console.error(`${shape}: starting ${name}`);
        peer = await openPeer(name, installed, shape, folder, SEQUENCES);
        errors.set(name, await checkPeer(opened[0], peer, vocabSize));
        opened.push(peer);
      } catch (error) {
        await peer?.stop();
        add(leftOut(`peers/*/${shape}/${name}`, (error as Error).message));
      }
    }
    await compare(shape, opened, vocabSize, { jobs, turns, promptTokens: prompt, errors, add });
  } finally {
    for (const peer of opened) await peer.stop();
    context.drop();
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
  const unfit = models.find((name) => "rope_scaling" in SHAPES[name] || name === "1.7B");
  if (unfit) {
    throw new UsageError(
      `Cannot compare peers at ${unfit}: their files are written for plain Llamas`,
    );
  }
  const unknown = flags.peers.find((name) => !PEERS.includes(name as PeerName));
  if (unknown) throw new UsageError(`Unknown peer ${unknown}: known are ${PEERS.join(", ")}`);
  const odd = flags.jobs.find((job) => !JOBS.some((name) => name === job));
  if (odd !== undefined) throw new UsageError(`Unknown job ${odd}: known are ${JOBS.join(", ")}`);
  const installed = await installPeers();
  using gpu = await openGpu({ ...flags, memoryBudget: undefined });
  const folder = flags.folder ?? await Deno.makeTempDir({ prefix: "palimpsest-peers-" });
  try {
    const clock = Clock.byHost(gpu);
    const context = new BenchContext(gpu, clock, { only: [], models, quick: false, folder });
    const rows: Row[] = [];
    const add = (row: Row) => void rows.push(row);
    const asked = { ...flags, peers: flags.peers as PeerName[], add };
    const all = async () => {
      for (const name of models) await comparePeers(context, name, installed, asked);
    };
    await printRows(gpu, rows, all(), flags, signal);
    return 0;
  } finally {
    // What was cut short may still be using it.
    if (flags.folder === undefined) await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

if (import.meta.main) await runCommand(({ signal }) => main(Deno.args, signal));
