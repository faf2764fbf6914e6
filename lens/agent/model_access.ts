/** The two models of an organism, for agents to talk to. */

import { generate } from "../../engine/generation/generate.ts";
import type { Edit } from "../../engine/hooks.ts";
import type { Tokenizer } from "../../engine/text/tokenizer.ts";
import type { ModelPair } from "../../models/model_shelf.ts";
import { Slots } from "../graders/llm/slots.ts";
import type { AskedModels, Draw } from "./evidence.ts";

/** What {@link askedModels} needs. */
export interface ModelAccessOptions {
  models: ModelPair;
  tokenizer: Tokenizer;
  /** A user's message as the models see it. */
  write: (text: string) => readonly number[];
  stopIds: ReadonlySet<number>;
  temperature: number;
  /** The most tokens of an answer. */
  tokens: number;
  /** The residual after this layer is edited. */
  layer: number;
  /** δ and the strength of each position that is steered with. */
  steering: ReadonlyMap<number, { delta: Float32Array; alpha: number }>;
  signal?: AbortSignal;
}

/** Access to models on a device, one request at a time: under a memory budget only one of them may be there. */
export function askedModels(options: ModelAccessOptions): AskedModels {
  const { models, tokenizer, write, stopIds, temperature, tokens, layer, steering, signal } =
    options;
  const turn = new Slots(1);
  const answers = async (
    side: "base" | "finetuned",
    prompts: readonly string[],
    { seed, stream }: Draw,
    edits: readonly Edit[] = [],
  ): Promise<string[]> => {
    const generated = await generate(await models[side](), {
      prompts: prompts.map(write),
      maxNewTokens: tokens,
      sampling: { temperature, seed },
      stopIds,
      edits,
      streams: prompts.map((_, i) => stream + i),
      signal,
    });
    return generated.map(({ ids }) => tokenizer.decode(ids, { skipSpecial: true }));
  };
  return {
    ask: (prompts, draw) =>
      turn.run(async () => {
        const base = await answers("base", prompts, draw);
        const finetuned = await answers("finetuned", prompts, draw);
        return prompts.map((_, i) => ({ base: base[i], finetuned: finetuned[i] }));
      }),
    steer: (prompt, { position, samples }, draw) =>
      turn.run(async () => {
        const { delta, alpha } = steering.get(position)!;
        const hook = `blocks.${layer}.hook_resid_post` as const;
        const edit: Edit = { hook, op: "add", vector: delta, scale: alpha };
        return await answers("finetuned", Array(samples).fill(prompt), draw, [edit]);
      }),
  };
}
