/** `deno task capture`: activations of a model at chosen hooks, as a safetensors file. */

import { UsageError } from "../engine/errors.ts";
import { expandHooks } from "../engine/hooks.ts";
import { encodeSafetensors, type TensorData } from "../engine/weights/safetensors_writer.ts";
import { writeAtomically } from "../lens/results/atomic_file.ts";
import { type LoadedModel, loadTokenizer } from "../models/load_model.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import { checkEdits, editsOf, readEdits, readTokens } from "./sequence_files.ts";
import { DEVICE_FLAGS, HUB_FLAGS, openGpu, sourceOptions } from "./common_flags.ts";
import { startProgress } from "./progress.ts";
import { openModel } from "./open_model.ts";
import type { CommandContext } from "./run_command.ts";

const COMMAND = {
  usage: "deno task capture",
  summary: "Runs a model and writes the activations at chosen hooks to a safetensors file.",
  flags: {
    model: {
      kind: "string",
      required: true,
      placeholder: "MODEL",
      help: "a folder, hf:OWNER/NAME or embedded:base",
    },
    adapter: {
      kind: "string",
      placeholder: "MODEL",
      help: "a LoRA adapter on it: a folder, hf:OWNER/NAME or embedded:NAME",
    },
    tokens: {
      kind: "string",
      placeholder: "FILE",
      help: "token ids, JSON: one list, or a list of lists",
    },
    prompt: {
      kind: "string",
      placeholder: "TEXT",
      help: "a text instead, with the tokenizer's special tokens",
    },
    hooks: {
      kind: "list",
      required: true,
      help:
        "TransformerLens names, * for every layer: hook_embed, blocks.*.hook_resid_post, logits, …",
    },
    edits: {
      kind: "string",
      placeholder: "FILE",
      help:
        'edits, JSON: [{hook, op: "add"|"replace"|"project", vector: {file, tensor, row?}, scale, positions}]; ' +
        "scale is a number, or a list with one for each sequence",
    },
    out: {
      kind: "string",
      required: true,
      placeholder: "FILE",
      help: "where to write, .safetensors",
    },
    json: { kind: "bool", help: "print one JSON object: the file and its tensors" },
    ...HUB_FLAGS,
    ...DEVICE_FLAGS,
  },
  examples: [
    {
      command:
        'deno task capture --model embedded:base --prompt "The oven is hot" --hooks blocks.*.hook_resid_post,logits --out acts.safetensors',
      does: "the residual stream after every layer, and the logits",
    },
  ],
} as const satisfies Command<Flags>;

/** Tokens of the sequences that one pass runs; longer inputs go in several. */
const BATCH_TOKENS = 1024;

/** Runs the command. */
export async function capture(args: string[], { signal }: CommandContext): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags } = parsed;
  if ((flags.tokens === undefined) === (flags.prompt === undefined)) {
    throw new UsageError("Give either --tokens or --prompt");
  }
  const [, folder = ".", name] = /^(?:(.*)[/\\])?([^/\\]+)$/.exec(flags.out) ?? [];
  if (name === undefined) throw new UsageError(`Cannot write to "${flags.out}": name a file`);
  const given = flags.tokens === undefined ? undefined : await readTokens(flags.tokens);
  using gpu = await openGpu(flags);
  const options = sourceOptions(flags, signal);
  const { base, model } = await openModel(gpu, flags, options);
  const sequences = given ??
    [(await loadTokenizer(base.source, base.transformer.spec)).encode(flags.prompt!, {
      special: true,
    })];
  const hooks = expandHooks(model.transformer.spec, flags.hooks.map((hook) => hook.trim()));
  const edits = flags.edits === undefined ? [] : await readEdits(flags.edits, sequences.length);
  checkEdits(edits, model.transformer.spec, hooks, sequences);

  const bar = startProgress({ label: "Running", total: sequences.length, unit: "sequences" });
  const tensors: TensorData[] = [];
  try {
    for (let first = 0; first < sequences.length;) {
      signal.throwIfAborted();
      let last = first + 1;
      let tokens = sequences[first].length;
      while (last < sequences.length && tokens + sequences[last].length <= BATCH_TOKENS) {
        tokens += sequences[last++].length;
      }
      tensors.push(...await captureBatch(model, sequences.slice(first, last), first, hooks, edits));
      bar.update(first = last);
    }
  } finally {
    bar.done();
  }
  await writeAtomically(folder === "" ? "/" : folder, name, encodeSafetensors(tensors));
  const shapes = Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
  if (flags.json) console.log(JSON.stringify({ file: flags.out, tensors: shapes }));
  else console.log(`Wrote ${tensors.length} tensors to ${flags.out}`);
  return 0;
}

/** The tensors of some sequences, named `{sequence}.{hook}`. */
async function captureBatch(
  { transformer }: LoadedModel,
  sequences: number[][],
  firstSequence: number,
  hooks: readonly string[],
  edits: Awaited<ReturnType<typeof readEdits>>,
): Promise<TensorData[]> {
  const batch = transformer.batch(sequences);
  const captured = await transformer.forward(batch, {
    capture: hooks,
    edits: editsOf(edits, firstSequence, sequences.length),
  });
  const data = await transformer.gpu.read(hooks.map((hook) => captured.get(hook)));
  const tensors = hooks.flatMap((hook, h) => {
    const values = new Float32Array(data[h]);
    const [, width] = captured.get(hook).shape;
    const offsets = captured.offsets(hook);
    return sequences.map((_, s): TensorData => ({
      name: `${firstSequence + s}.${hook}`,
      dtype: "F32",
      shape: [offsets[s + 1] - offsets[s], width],
      data: values.subarray(offsets[s] * width, offsets[s + 1] * width),
    }));
  });
  captured.release();
  return tensors;
}
