/** δ of one layer for commands that use it: from the results of `deno task diff`, or measured as that does. */

import { ResultsError, UsageError } from "../engine/errors.ts";
import type { Means } from "../engine/activation_means.ts";
import { memorySource } from "../engine/weights/byte_source.ts";
import { openSafetensors } from "../engine/weights/safetensors.ts";
import { PROMPT_POSITIONS } from "../lens/chats.ts";
import { layersAt } from "../lens/diff.ts";
import { type MeansRun, meansStep } from "../lens/diff_run.ts";
import { chooseDocuments, plainRule } from "../lens/documents.ts";
import { decodeMeans } from "../lens/means_file.ts";
import { readIfThere } from "../lens/results/files.ts";
import { readJsonFile } from "../lens/results/json_file.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";
import { TextSet } from "../lens/text_set.ts";
import type { SourceOptions } from "../models/source.ts";
import { hubOf, parseRanges } from "./common_flags.ts";
import { recordOf } from "./diff_texts.ts";
import { identity, type OpenedPair } from "./open_pair.ts";
import { startProgress } from "./progress.ts";

/** Where δ comes from. */
export interface DeltaSource {
  /** For the run's fingerprint. */
  fingerprint: JsonValue;
  /** What the first position is called. */
  firstPosition: number;
  /** The means at the run's only layer; measured ones are kept as the step `diff` of its folder. */
  means(run: MeansRun): Promise<Means>;
}

/** The file of a results folder that holds the means. */
const MEANS_FILE = "diff.safetensors";

/**
 * δ from a folder of `deno task diff`.
 *
 * @throws {ResultsError} if it is not one, compares other models, or does not have the layer
 */
async function deltasFrom(
  folder: string,
  { base, finetuned }: OpenedPair,
  layer: number,
): Promise<DeltaSource> {
  const bytes = await readIfThere(`${folder}/${MEANS_FILE}`);
  if (bytes === null) {
    throw new ResultsError(
      `Cannot take differences from "${folder}": there is no ${MEANS_FILE} of deno task diff in it`,
    );
  }
  const made = await readJsonFile(folder, "fingerprint.json") as Record<string, Identity> | null;
  for (const [side, source] of Object.entries({ base, finetuned })) {
    if (sameModel(made?.[side]?.files, (await identity(source)).files)) continue;
    throw new ResultsError(
      `Cannot take differences from "${folder}": its ${side} model is ` +
        `${made?.[side]?.name ?? "not known"}, not "${source.ref}"`,
    );
  }
  const copy = new Uint8Array(bytes);
  const file = await openSafetensors(memorySource(MEANS_FILE, copy));
  if (!file.tensors.has(`blocks.${layer}.hook_resid_post.delta`)) {
    throw new ResultsError(
      `Cannot take the differences of layer ${layer} from "${folder}": it has other layers; see --layers`,
    );
  }
  return {
    fingerprint: { sha256: await sha256OfBytes(copy) },
    firstPosition: Number.parseInt(file.metadata.positions) || 0,
    means: async () => (await decodeMeans(copy, [layer]))[0],
  };
}

/** Whether the files that both have read are the same, the weights among them; a command may read more than another. */
function sameModel(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  const [ours, theirs] = [a, b].map((files) => Object.entries(files ?? {}));
  const hashes = new Map(theirs);
  const both = ours.filter(([file]) => hashes.has(file));
  return both.some(([file]) => file.endsWith(".safetensors")) &&
    both.every(([file, hash]) => hashes.get(file) === hash);
}

interface Identity {
  name?: string;
  files?: JsonValue;
}

/** δ that is still to be measured. */
interface DeltaPlan {
  texts: TextSet;
  documents: number;
  /** Of each document; as many positions are compared. */
  tokens: number;
  seed: number;
  signal?: AbortSignal;
}

/** δ on the first tokens of unrelated texts. */
async function measuredDeltas(
  { models, tokenizer }: OpenedPair,
  { texts, documents, tokens, seed, signal }: DeltaPlan,
): Promise<DeltaSource> {
  const bar = startProgress({ label: "Choosing documents", total: documents, unit: "documents" });
  const selection = await chooseDocuments(texts, plainRule(tokenizer, tokens), {
    documents,
    seed,
    progress: (found) => bar.update(found),
    signal,
  }).finally(() => bar.done());
  return {
    fingerprint: { texts: recordOf(texts.read), documents, tokens },
    firstPosition: 0,
    async means(run) {
      const step = {
        step: "diff",
        label: "Comparing activations",
        models: () => Promise.resolve(models),
        selection,
      };
      const said = { documents: selection.tokens.length, dropped: selection.dropped };
      return (await meansStep(run, step, () => Promise.resolve(said)))[0];
    },
  };
}

/** The flags that choose δ; see `delta_flags.ts`. */
export interface DeltaChoice {
  from?: string;
  layers: readonly string[];
  positions: readonly string[];
  column?: string;
  seed: number;
}

/** The only layer that the flags may name. */
export function layerOf({ layers }: DeltaChoice, { spec }: OpenedPair): number {
  const [layer, ...others] = layersAt(layers, spec.layers);
  if (others.length === 0) return layer;
  throw new UsageError(`Cannot use --layers ${layers.join(",")}: it is one layer at a time`);
}

/** The positions whose δ are used; of chats they may begin before the answer. */
export function positionsOf({ positions, from }: DeltaChoice, { spec }: OpenedPair): number[] {
  const least = from === undefined ? 0 : -PROMPT_POSITIONS;
  return parseRanges(positions, spec.maxPositions - 1, "position", least);
}

/**
 * δ as the flags choose it: from `--from`, else measured on texts.
 *
 * @param measured the texts (for `TextSet`), how many documents of them, and how many tokens of each at least
 */
export async function chosenDeltas(
  pair: OpenedPair,
  flags: DeltaChoice,
  measured: { text?: string; documents: number; tokens: number },
  source: SourceOptions,
): Promise<DeltaSource> {
  if (flags.from !== undefined) return await deltasFrom(flags.from, pair, layerOf(flags, pair));
  const last = Math.max(...positionsOf(flags, pair));
  return await measuredDeltas(pair, {
    texts: await TextSet.open(measured.text!, { column: flags.column }, hubOf(source)),
    documents: measured.documents,
    tokens: Math.min(Math.max(measured.tokens, last + 1), pair.spec.maxPositions),
    seed: flags.seed,
    signal: source.signal,
  });
}

async function sha256OfBytes(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
