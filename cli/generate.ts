/** `deno task generate`: continuations of prompts, as they are or steered. */

import { UsageError } from "../engine/errors.ts";
import { generate as generateTokens, type Generated } from "../engine/generation/generate.ts";
import { warmUpGeneration } from "../engine/warm_up.ts";
import type { ChatMessage } from "../engine/text/chat_template.ts";
import type { Tokenizer } from "../engine/text/tokenizer.ts";
import { loadChat, stopIds } from "../models/chat.ts";
import { type LoadedModel, loadTokenizer } from "../models/load_model.ts";
import { parseCommand, type Values } from "./args.ts";
import { measurePrecision, precisionJson } from "./precision.ts";
import { readEdits, readTokens } from "./sequence_files.ts";
import { openGpu, sourceOptions } from "./common_flags.ts";
import { GENERATE_COMMAND, likelyTokens, samplingOf } from "./generate_flags.ts";
import { GenerationView } from "./generation_view.ts";
import { stopAt } from "./stop_strings.ts";
import { Timing } from "./timing.ts";
import { openModel } from "./open_model.ts";
import type { CommandContext } from "./run_command.ts";

type GenerateFlags = Values<typeof GENERATE_COMMAND["flags"]>;

/** Runs the command. */
export async function generate(args: string[], { signal }: CommandContext): Promise<number> {
  const parsed = parseCommand(GENERATE_COMMAND, args);
  if (parsed.kind === "help") {
    console.log(parsed.text);
    return 0;
  }
  const { flags } = parsed;
  checkFlags(flags);
  const given = flags.tokens === undefined ? undefined : await readTokens(flags.tokens);
  using gpu = await openGpu(flags);
  const options = sourceOptions(flags, signal);
  const timing = new Timing(gpu, "first token", flags.timing);
  const promptTokens = given?.reduce((sum, { length }) => sum + length, 0) ??
    likelyTokens(flags.prompt!);
  const coming = { promptTokens, sampling: samplingOf(flags) };
  const { base, model } = await openModel(gpu, flags, {
    ...options,
    planned: (model) => warmUpGeneration(model, coming),
  });
  const tokenizer = await tokenizerFor(base, flags);
  const prompts = given ?? [await promptIds(base, tokenizer!, flags)];
  const edits = flags.edits === undefined ? [] : await readEdits(flags.edits, prompts.length);

  await measurePrecision(gpu, { model: () => Promise.resolve(model.transformer) }, prompts, {
    hook: "logits",
    positions: [-1],
  });

  // Sample k of prompt p is sequence p · samples + k, and draws from the stream of that number.
  const each = <T>(values: readonly T[]) =>
    values.flatMap((value) => Array<T>(flags.samples).fill(value));
  const sequences = each(prompts);
  const view = new GenerationView(tokenizer, sequences.length, flags);
  let generated: Generated[];
  try {
    generated = await generateTokens(model.transformer, {
      prompts: sequences,
      maxNewTokens: flags.maxNewTokens,
      sampling: samplingOf(flags),
      stopIds: flags.ignoreEos
        ? undefined
        : await stopIds(base.source, tokenizer, { chat: flags.chat }),
      stop: stopAt(flags.stop, tokenizer),
      edits: edits.map((edit) => ({
        ...edit,
        scale: typeof edit.scale === "object" ? each(edit.scale) : edit.scale,
      })),
      onTokens: (sequence, ids) => {
        timing.result();
        view.tokens(sequence, ids);
      },
      signal,
    });
  } finally {
    view.end();
  }
  view.result(generated, flags.samples, { ...timing.json(), ...precisionJson(gpu) });
  if (!flags.json) timing.print();
  return 0;
}

function checkFlags(flags: GenerateFlags): void {
  if ((flags.tokens === undefined) === (flags.prompt === undefined)) {
    throw new UsageError("Give either --tokens or --prompt");
  }
  if (flags.tokens !== undefined && (flags.chat || flags.system !== undefined)) {
    throw new UsageError("Cannot use --chat or --system with --tokens: they frame a --prompt");
  }
  if (flags.system !== undefined && !flags.chat) {
    throw new UsageError("Cannot use --system without --chat: only a chat has a system message");
  }
  if (flags.samples > 1 && flags.temperature === 0) {
    throw new UsageError(
      `Cannot draw ${flags.samples} samples at temperature 0: they would be equal; give --temperature`,
    );
  }
}

/** Token ids can be continued without a tokenizer, as long as nothing needs their text. */
async function tokenizerFor(
  model: LoadedModel,
  flags: GenerateFlags,
): Promise<Tokenizer | undefined> {
  const needless = flags.tokens !== undefined && flags.stop.length === 0;
  if (needless && !await model.source.has("tokenizer.json")) return undefined;
  return await loadTokenizer(model.source, model.transformer.spec);
}

async function promptIds(
  model: LoadedModel,
  tokenizer: Tokenizer,
  { prompt, chat, system, thinking }: GenerateFlags,
): Promise<number[]> {
  if (!chat) return tokenizer.encode(prompt!, { special: true });
  const messages: ChatMessage[] = [{ role: "user", content: prompt! }];
  if (system !== undefined) messages.unshift({ role: "system", content: system });
  const template = await loadChat(model.source, tokenizer);
  return template.render(messages, { addGenerationPrompt: true, thinking });
}
