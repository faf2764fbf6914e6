/** `deno task capture`: activations of a model at chosen hooks, as a safetensors file. */

import { capturePieces } from "../engine/capture_pieces.ts";
import { UsageError } from "../engine/errors.ts";
import { expandHooks, hookOrder, hookWidth } from "../engine/hooks.ts";
import { warmUp } from "../engine/warm_up.ts";
import { layoutSafetensors, type TensorShape } from "../engine/weights/safetensors_writer.ts";
import { writeInParts } from "../lens/results/atomic_file.ts";
import { loadTokenizer } from "../models/load_model.ts";
import { type Command, type Flags, parseCommand } from "./args.ts";
import { measurePrecision, precisionJson } from "./precision.ts";
import { checkEdits, readEdits, readTokens } from "./sequence_files.ts";
import { HUB_FLAGS, MODEL_FLAGS, ONE_MODEL_FLAGS, openGpu, sourceOptions } from "./common_flags.ts";
import { startProgress } from "./progress.ts";
import { likelyTokens } from "./generate_flags.ts";
import { openModel } from "./open_model.ts";
import type { CommandContext } from "./run_command.ts";
import { Timing, TIMING_FLAGS } from "./timing.ts";

const COMMAND = {
  usage: "deno task capture",
  summary: "Runs a model and writes the activations at chosen hooks to a safetensors file.",
  flags: {
    ...ONE_MODEL_FLAGS,
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
    ...TIMING_FLAGS,
    ...HUB_FLAGS,
    ...MODEL_FLAGS,
  },
  examples: [
    {
      command:
        'deno task capture --model embedded:base --prompt "The oven is hot" --hooks blocks.*.hook_resid_post,logits --out acts.safetensors',
      does: "the residual stream after every layer, and the logits",
    },
  ],
} as const satisfies Command<Flags>;

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
  const timing = new Timing(gpu, "first batch", flags.timing);
  const names = flags.hooks.map((hook) => hook.trim());
  const { base, model } = await openModel(gpu, flags, {
    ...options,
    planned: (model) => {
      const tokens = given?.reduce((sum, { length }) => sum + length, 0) ??
        likelyTokens(flags.prompt!);
      const capture = expandHooks(model.spec, names)
        .map((hook) => hook === "logits" ? { hook, positions: [-1] } : hook);
      warmUp(model, [{ tokens, capture }]);
    },
  });
  const sequences = given ??
    [(await loadTokenizer(base.source, base.transformer.spec)).encode(flags.prompt!, {
      special: true,
    })];
  const hooks = expandHooks(model.transformer.spec, names);
  const edits = flags.edits === undefined ? [] : await readEdits(flags.edits, sequences.length);
  checkEdits(edits, model.transformer.spec, hooks, sequences);

  const { spec } = model.transformer;
  await measurePrecision(gpu, { model: () => Promise.resolve(model.transformer) }, sequences, {
    hook: hooks.toSorted((a, b) => hookOrder(spec, a) - hookOrder(spec, b)).at(-1)!,
  });

  const shapes = sequences.flatMap((ids, s) =>
    hooks.map((hook): TensorShape => {
      const width = hookWidth(model.transformer.spec, hook);
      return { name: `${s}.${hook}`, dtype: "F32", shape: [ids.length, width] };
    })
  );
  const { start, offsets, size } = layoutSafetensors(shapes);
  const total = sequences.reduce((sum, { length }) => sum + length, 0) * hooks.length;
  const bar = startProgress({ label: "Running", total, unit: "rows" });
  try {
    await writeInParts(folder === "" ? "/" : folder, name, size, async (write) => {
      await write(0, start);
      let done = 0;
      const pieces = capturePieces(model.transformer, sequences, { hooks, edits, signal });
      for await (const { sequence, hook, firstRow, values } of pieces) {
        const width = hookWidth(model.transformer.spec, hook);
        const offset = offsets[sequence * hooks.length + hooks.indexOf(hook)];
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        await write(offset + 4 * firstRow * width, bytes);
        timing.result();
        bar.update(done += values.length / width);
      }
    });
  } finally {
    bar.done();
  }
  const tensors = Object.fromEntries(shapes.map(({ name, shape }) => [name, shape]));
  if (flags.json) {
    console.log(
      JSON.stringify({ file: flags.out, tensors, ...timing.json(), ...precisionJson(gpu) }),
    );
  } else {
    console.log(`Wrote ${shapes.length} tensors to ${flags.out}`);
    timing.print();
  }
  return 0;
}
