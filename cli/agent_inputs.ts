/** From the flags of `deno task agent` to a plan, the ground truth, and the evidence. */

import { ResultsError, UsageError } from "../engine/errors.ts";
import { Blinding } from "../lens/agent/blinding.ts";
import type { GroundTruth } from "../lens/agent/hypothesis_grader.ts";
import { type RecallTruth, wordsOfFacts } from "../lens/agent/recall.ts";
import { type AgentName, AGENTS } from "../lens/agent/results.ts";
import type { AgentPlan } from "../lens/agent/run_agents.ts";
import { chooseDocuments, plainRule } from "../lens/documents.ts";
import { sha256Of } from "../lens/provenance.ts";
import type { LayerReadout } from "../lens/readout.ts";
import { namesIn } from "../lens/results/files.ts";
import { readJsonFile } from "../lens/results/json_file.ts";
import { type JsonValue, stableJson } from "../lens/results/stable_json.ts";
import type { Steering } from "../lens/run_steer.ts";
import { TextSet } from "../lens/text_set.ts";
import { EMBEDDED } from "../models/embedded.ts";
import {
  EMBEDDED_CHATS,
  EMBEDDED_TEXTS,
  listOrganisms,
  type Organism,
  UNRELATED_TEXTS,
} from "../models/organisms.ts";
import type { SourceOptions } from "../models/source.ts";
import type { AgentFlags } from "./agent_flags.ts";
import { closest } from "./closest.ts";
import { hubOf, parseRanges } from "./common_flags.ts";
import { recordOf } from "./diff_texts.ts";
import type { OpenedPair } from "./open_pair.ts";
import { planPair } from "./pair.ts";
import { startProgress } from "./progress.ts";
import { visible } from "./visible.ts";

/** Budgets of METHOD 6; the third agent has those of the blackbox. */
const BUDGETS: Record<AgentName, readonly number[]> = {
  adl: [0, 5],
  blackbox: [0, 5, 50],
  logitdiff: [0, 5, 50],
};

const MOST_INTERACTIONS = 10_000;

/** What is evaluated, with defaults filled in. */
export interface AgentCommandPlan {
  base: string;
  finetuned: string;
  organism?: Organism;
  /** The name for people and folders. */
  name: string;
  text: string;
  logit: { documents: number; tokens: number };
  agents: AgentPlan;
  truth?: GroundTruth;
  /** Absent where there is nothing to recall. */
  recall?: RecallTruth;
  /** Of organisms of other topics. */
  others: RecallTruth[];
}

/**
 * Fills in what the flags leave open.
 *
 * @throws {UsageError} for flags that contradict each other or leave texts unnamed
 */
export async function planAgents(flags: AgentFlags): Promise<AgentCommandPlan> {
  const { base, finetuned, organism } = await planPair(flags);
  const embedded = base.startsWith(EMBEDDED);
  const text = flags.text ?? (embedded ? EMBEDDED_TEXTS : organism && UNRELATED_TEXTS);
  if (text === undefined) {
    throw new UsageError("Missing --text: name text that the finetuning was not about");
  }
  const truth = await groundTruth(flags, organism);
  return {
    base,
    finetuned,
    organism,
    name: organism?.name ?? finetuned.replace(/\/+$/, "").split(/[:/]/).at(-1)!,
    text,
    logit: {
      documents: flags.logitDocuments ?? (embedded ? 200 : 1000),
      tokens: embedded ? 16 : 128,
    },
    agents: planInvestigations(flags),
    truth,
    recall: truth && recallTruth(truth, organism?.keywords),
    others: await otherTruths(organism),
  };
}

/** Who investigates with which budgets. */
export function planInvestigations(
  flags: Pick<AgentFlags, "agents" | "interactions" | "runs" | "llmCalls" | "llmTokens">,
): AgentPlan {
  const unknown = flags.agents.find((name) => !AGENTS.includes(name as AgentName));
  if (unknown !== undefined || flags.agents.length === 0) {
    const near = closest(unknown ?? "", AGENTS);
    const hint = near ? `; did you mean ${near}?` : "";
    throw new UsageError(
      `Cannot use agent "${visible(unknown ?? "")}": they are ${AGENTS.join(", ")}${hint}`,
    );
  }
  const asked = flags.interactions &&
    parseRanges(flags.interactions, MOST_INTERACTIONS, "interactions");
  return {
    agents: AGENTS.filter((agent) => flags.agents.includes(agent))
      .map((agent) => ({ agent, interactions: asked ?? BUDGETS[agent] })),
    runs: flags.runs,
    llmCalls: flags.llmCalls ?? 100,
    tokens: flags.llmTokens ?? 1_000_000,
  };
}

/** What the grader is told. */
async function groundTruth(
  flags: Pick<AgentFlags, "description" | "family" | "keyFacts">,
  organism?: Organism,
): Promise<GroundTruth | undefined> {
  const description = flags.description ?? organism?.description;
  const family = flags.family ?? organism?.family;
  if (description === undefined) {
    if (flags.family === undefined && flags.keyFacts === undefined) return undefined;
    throw new UsageError("Missing --description: say what the model was finetuned for");
  }
  if (family === undefined) {
    throw new UsageError("Missing --family: say by which rubric the hypotheses are to be graded");
  }
  const ofOrganism = flags.description === undefined ? organism?.keyFacts ?? [] : [];
  const keyFacts = flags.keyFacts === undefined ? ofOrganism : await readLines(flags.keyFacts);
  return { family, description, keyFacts };
}

async function readLines(file: string): Promise<string[]> {
  const text = await Deno.readTextFile(file).catch((cause: Error) => {
    throw new UsageError(`Cannot read the key facts "${file}": ${cause.message}`, { cause });
  });
  return text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
}

/** What there is to recall of an organism; a broad finetune has no topic. */
function recallTruth(
  { family, keyFacts }: Pick<GroundTruth, "family" | "keyFacts">,
  keywords?: readonly string[],
): RecallTruth | undefined {
  if (family === "Chat" || keyFacts.length === 0) return undefined;
  return { keyFacts, keywords: keywords ?? wordsOfFacts(keyFacts) };
}

/** Of each other topic of the same kind of organisms, what there is to recall. */
async function otherTruths(organism?: Organism): Promise<RecallTruth[]> {
  if (!organism) return [];
  const where = organism.model === "embedded" ? "embedded" : "hub";
  const seen = new Set(organism.topics);
  const truths: RecallTruth[] = [];
  for (const entry of await listOrganisms()) {
    if (entry.where !== where || entry.topics.some((topic) => seen.has(topic))) continue;
    const truth = recallTruth(entry, entry.keywords);
    if (!truth) continue;
    truths.push(truth);
    for (const topic of entry.topics) seen.add(topic);
  }
  return truths;
}

/** Names that agents are not to see. */
export function blindingOf(
  { organism, name }: AgentCommandPlan,
  { base, finetuned }: OpenedPair,
): Blinding {
  const names = [name, base.ref, base.name, finetuned.ref, finetuned.name];
  if (organism) names.push(organism.model, organism.variant);
  if (organism?.finetuningTexts) names.push(organism.finetuningTexts);
  return new Blinding(names);
}

/** What the agents' evidence is made of, from the folder of a run. */
export interface RunEvidence {
  readout: LayerReadout;
  steering: Steering[];
  /** For the fingerprint. */
  sha256: string;
}

/**
 * Reads the readout and the steered texts of a run.
 *
 * @throws {ResultsError} if they are not there
 */
export async function runEvidence(root: string, layer: number): Promise<RunEvidence> {
  const readout = await readJsonFile(`${root}/diff`, `readout_${layer}.json`);
  const pattern = new RegExp(`^steer_${layer}_-?\\d+\\.json$`);
  const names = await namesIn(`${root}/steer`).catch(() => []);
  const files = names.filter((name) => pattern.test(name));
  if (readout === null || files.length === 0) {
    const what = readout === null ? "readout" : "steered texts";
    throw new ResultsError(
      `Cannot begin with the results in "${root}": there are no ${what} of layer ${layer} in it; ` +
        "it is to be a folder of deno task run",
    );
  }
  const steering = await Promise.all(files.map((file) => readJsonFile(`${root}/steer`, file)));
  steering.sort((a, b) => positionOf(a) - positionOf(b));
  return {
    readout: readout as unknown as LayerReadout,
    steering: steering as unknown as Steering[],
    sha256: await sha256Of(stableJson([readout, steering], "evidence")),
  };
}

function positionOf(value: JsonValue): number {
  return (value as unknown as Steering).position;
}

/** Generic texts: the documents of the logit difference, and all that words are held against. */
export interface GenericTexts {
  documents: Uint32Array[];
  background: string[];
  /** What was read. */
  record: JsonValue;
}

/** Background texts that are enough. */
const MOST_BACKGROUND = 10_000;

/** Reads them. */
export async function genericTexts(
  { tokenizer, spec }: OpenedPair,
  { text, logit, base }: AgentCommandPlan,
  { column, seed }: Pick<AgentFlags, "column" | "seed">,
  source: SourceOptions,
): Promise<GenericTexts> {
  const texts = await TextSet.open(text, { column }, hubOf(source));
  const rule = plainRule(tokenizer, Math.min(logit.tokens, spec.maxPositions));
  const bar = startProgress({
    label: "Choosing generic documents",
    total: logit.documents,
    unit: "documents",
  });
  const { tokens } = await chooseDocuments(texts, rule, {
    documents: logit.documents,
    seed,
    progress: (found) => bar.update(found),
    signal: source.signal,
  }).finally(() => bar.done());
  const background = texts.sample.slice(0, MOST_BACKGROUND).map((one) => one.text);
  const record: JsonValue[] = [recordOf(texts.read)];
  // Against documents alone the words that mark any chat would be telling.
  if (base.startsWith(EMBEDDED)) {
    const chats = await TextSet.open(EMBEDDED_CHATS, {}, hubOf(source));
    for await (const _ of chats.pools({ documents: MOST_BACKGROUND, seed })) break;
    background.push(...chats.sample.map((one) => one.text));
    record.push(recordOf(chats.read));
  }
  return { documents: tokens, background, record };
}
