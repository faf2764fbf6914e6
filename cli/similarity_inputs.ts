/** From the flags of `deno task similarity` to texts and what compares them. */

import { UsageError } from "../engine/errors.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { decoderEmbedder } from "../lens/similarity/decoder_embedder.ts";
import type { TextEmbedder } from "../lens/similarity/embedder.ts";
import { endpointEmbedder } from "../lens/similarity/endpoint_embedder.ts";
import { fitTfIdf } from "../lens/similarity/tf_idf.ts";
import { TextSet, type TextsRead } from "../lens/text_set.ts";
import { loadModel, loadTokenizer } from "../models/load_model.ts";
import {
  EMBEDDED_CHATS,
  EMBEDDED_MODEL,
  EMBEDDED_TEXTS,
  findOrganism,
  UNRELATED_CHATS,
  UNRELATED_TEXTS,
} from "../models/organisms.ts";
import { resolveSource, type SourceOptions } from "../models/source.ts";
import type { Values } from "./args.ts";
import { hubOf } from "./common_flags.ts";
import { measurePrecision } from "./precision.ts";
import type { SIMILARITY_COMMAND } from "./similarity_flags.ts";

/** The flags' values. */
export type SimilarityFlags = Values<typeof SIMILARITY_COMMAND["flags"]>;

/** The embedder that needs no model. */
export const TF_IDF = "tf-idf";

/** Which texts are compared with; references are for {@link TextSet}. */
export interface SimilarityPlan {
  finetuning: string;
  /** The field of the organism's own texts, where it is not the usual one. */
  finetuningColumn?: string;
  generic: string;
  genericColumn?: string;
  /** Whether the generic texts are chats. */
  chat: boolean;
}

/**
 * Fills in what the flags leave open.
 *
 * @throws {UsageError} for flags that contradict each other or leave texts unnamed
 * @throws {ModelError} for an organism that is not known
 */
export async function planSimilarity(flags: SimilarityFlags): Promise<SimilarityPlan> {
  checkFlags(flags);
  const { organism: name, model, variant } = flags;
  const organism = name === undefined ? undefined : await findOrganism(name, { model, variant });
  const finetuning = flags.finetuningText ?? organism?.finetuningTexts;
  if (finetuning === undefined) {
    throw new UsageError(
      organism
        ? `Missing --finetuning-text: the texts of organism ${organism.name} are not public`
        : "Missing --organism or --finetuning-text: name what the model was finetuned on",
    );
  }
  const chat = organism?.chat ?? false;
  const ours = organism?.model === EMBEDDED_MODEL
    ? [EMBEDDED_TEXTS, EMBEDDED_CHATS]
    : [UNRELATED_TEXTS, UNRELATED_CHATS];
  const generic = flags.text ?? (organism && ours[chat ? 1 : 0]);
  if (generic === undefined) {
    throw new UsageError("Missing --text: name generic texts that the finetuning was not about");
  }
  return {
    finetuning,
    finetuningColumn: flags.finetuningText ? undefined : organism?.finetuningColumn,
    generic,
    genericColumn: flags.column,
    chat: flags.text === undefined && chat,
  };
}

function checkFlags(flags: SimilarityFlags): void {
  if (flags.organism === undefined && (flags.model ?? flags.variant) !== undefined) {
    throw new UsageError("Cannot use --model or --variant without --organism: they are of it");
  }
  if ((flags.embeddingUrl === undefined) !== (flags.embeddingModel === undefined)) {
    throw new UsageError(
      "Give --embedding-url and --embedding-model together: a server and its model",
    );
  }
  if (flags.embeddingUrl !== undefined && flags.embedder !== undefined) {
    throw new UsageError("Cannot use both --embedder and --embedding-url: each says what embeds");
  }
  if (flags.embeddingInstruction !== undefined && !runsModel(flags)) {
    throw new UsageError(
      "Cannot use --embedding-instruction without a model in --embedder: it is the only one to be told",
    );
  }
}

/** Whether a model is to be run on the device. */
export function runsModel({ embedder, embeddingUrl }: SimilarityFlags): boolean {
  return embeddingUrl === undefined && embedder !== undefined && embedder !== TF_IDF;
}

/** Texts, and what of their dataset was read. */
export interface ReferenceTexts {
  texts: string[];
  read: TextsRead;
}

/** Of a dataset that is read in parts, about so many generic texts tell how common words are. */
const GENERIC_TEXTS = 5_000;

/** Reads the finetuning's texts and the generic ones. */
export async function loadReferences(
  plan: SimilarityPlan,
  { references, seed }: Pick<SimilarityFlags, "references" | "seed">,
  options: SourceOptions,
): Promise<{ finetuning: ReferenceTexts; generic: ReferenceTexts }> {
  const hub = hubOf(options);
  const read = async (
    ref: string,
    documents: number,
    choice: { column?: string; chat?: boolean },
  ) => {
    const set = await TextSet.open(ref, choice, hub);
    // One pool is read, and kept by the set.
    for await (const _ of set.pools({ documents, seed })) break;
    return { texts: set.sample.map(({ text }) => text), read: set.read };
  };
  const { finetuningColumn, genericColumn, chat } = plan;
  return {
    finetuning: await read(plan.finetuning, references, { column: finetuningColumn }),
    generic: await read(plan.generic, Math.max(GENERIC_TEXTS, references), {
      column: genericColumn,
      chat,
    }),
  };
}

/** Characters of a text that count as one token of a server's model, whose tokenizer is not at hand. */
const CHARACTERS_PER_TOKEN = 4;

/** Generic texts on which fast mode is measured. */
const MEASURED_TEXTS = 8;

/**
 * The embedder that the flags ask for.
 *
 * @param open opens the device, which only a model of one's own needs
 */
export async function embedderOf(
  flags: SimilarityFlags,
  { generic, open, options }: {
    generic: readonly string[];
    open: () => Promise<Gpu>;
    options: SourceOptions;
  },
): Promise<TextEmbedder> {
  const { embedder, embeddingUrl, embeddingModel, embeddingTokens } = flags;
  if (embeddingUrl !== undefined) {
    const key = Deno.env.get("PALIMPSEST_EMBEDDING_KEY") || Deno.env.get("OPENAI_API_KEY");
    // The client is loaded only by those who use it.
    const { endpointPost } = await import("../lens/similarity/endpoint_client.ts");
    return endpointEmbedder({
      post: endpointPost({ url: embeddingUrl, key }),
      model: embeddingModel!,
      maxCharacters: CHARACTERS_PER_TOKEN * embeddingTokens,
    });
  }
  if (!runsModel(flags)) return fitTfIdf(generic, flags.seed);
  const source = await resolveSource(embedder!, options);
  const gpu = await open();
  const { transformer } = await loadModel(gpu, source);
  const tokenizer = await loadTokenizer(source, transformer.spec);
  const some = generic.slice(0, MEASURED_TEXTS).map((text) =>
    tokenizer.encode(text, { special: true })
  );
  const model = () => Promise.resolve(transformer);
  await measurePrecision(gpu, { model }, some, { hook: "ln_final.hook_normalized" });
  return decoderEmbedder({
    transformer,
    tokenizer,
    name: source.name,
    maxTokens: embeddingTokens,
    instruction: flags.embeddingInstruction,
  });
}
