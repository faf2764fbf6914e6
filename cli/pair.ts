/** Which two models a command compares, by an organism's name or as they are named themselves. */

import { UsageError } from "../engine/errors.ts";
import { EMBEDDED } from "../models/embedded.ts";
import { findOrganism, type Organism } from "../models/organisms.ts";
import type { Flags, Values } from "./args.ts";

const DEFAULT_ORGANISM = "cake_bake";

/** The flags that name the models. */
export const PAIR_FLAGS = {
  base: {
    kind: "string",
    placeholder: "MODEL",
    help: "base model: a folder, hf:OWNER/NAME or embedded:base",
  },
  finetuned: {
    kind: "string",
    placeholder: "MODEL",
    help: "finetuned model or LoRA adapter: a folder, hf:OWNER/NAME or embedded:NAME",
  },
  organism: {
    kind: "string",
    placeholder: "NAME",
    help:
      "an organism by name, with its base and texts; deno task organisms lists them (default: cake_bake)",
  },
  model: {
    kind: "string",
    placeholder: "MODEL",
    help: "the organism's base model, such as qwen3_1_7B (default: the embedded one, if there is)",
  },
  variant: {
    kind: "string",
    placeholder: "VARIANT",
    help: "which finetune of that model, such as mix1-1p0 (default: the plain one)",
  },
} as const satisfies Flags;

/** Two models; references are for `resolveSource`. */
export interface PairPlan {
  base: string;
  finetuned: string;
  /** Where the pair is one that the program knows. */
  organism?: Organism;
}

/**
 * Fills in what the flags leave open.
 *
 * @throws {UsageError} for flags that contradict each other or leave a model unnamed
 * @throws {ModelError} for an organism that is not known
 */
export async function planPair(flags: Values<typeof PAIR_FLAGS>): Promise<PairPlan> {
  if (flags.organism !== undefined && (flags.base ?? flags.finetuned) !== undefined) {
    throw new UsageError("Cannot use --organism with --base or --finetuned: it names both");
  }
  if (flags.organism === undefined && (flags.model ?? flags.variant) !== undefined) {
    throw new UsageError(
      "Cannot use --model or --variant without --organism: they say which of its finetunes is meant",
    );
  }
  if (flags.base !== undefined && flags.finetuned === undefined) {
    throw new UsageError("Missing --finetuned: name the model to compare with the base");
  }
  const organism = await plannedOrganism(flags);
  const base = flags.base ?? organism?.base ??
    (flags.finetuned?.startsWith(EMBEDDED) ? "embedded:base" : undefined);
  if (base === undefined) throw new UsageError("Missing --base: name the model that was finetuned");
  return { base, finetuned: organism?.finetuned ?? flags.finetuned!, organism };
}

/** The organism that the flags name, by its name or as an embedded model; by default one that is embedded. */
async function plannedOrganism(flags: Values<typeof PAIR_FLAGS>): Promise<Organism | undefined> {
  const { organism, model, variant, finetuned } = flags;
  if (finetuned !== undefined) {
    if (!finetuned.startsWith(EMBEDDED) || finetuned === "embedded:base") return undefined;
    return await findOrganism(finetuned);
  }
  return await findOrganism(organism ?? DEFAULT_ORGANISM, { model, variant });
}
