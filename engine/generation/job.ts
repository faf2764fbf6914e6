/** One request on its way through the scheduler. */

import type { Edit } from "../hooks.ts";
import type { TokenLogprobs } from "../ops/logprobs.ts";
import type { Sampling } from "../ops/sampling.ts";
import type { Transformer } from "../transformer.ts";
import { groupPrompts } from "./plan.ts";
import type { GenerateRequest } from "./request.ts";
import { type Finish, GrowingSequence } from "./sequence.ts";

/** What a sequence got. */
export interface Generated {
  /** The new tokens. */
  ids: number[];
  finish: Finish;
  /** One for each of the ids, where they were asked for. */
  logprobs?: TokenLogprobs[];
}

/** A prompt that the sequences of one job share, and how far it has been run. */
export interface PromptRun {
  job: Job;
  prompt: ArrayLike<number>;
  length: number;
  /** Tokens whose keys are there. */
  done: number;
  /** First row of its keys, while a sequence is running. */
  start: number;
  /** Sequences that are running. */
  members: number;
  /** A sequence of the request that stands for all: they have the same edits. */
  first: number;
}

/** A sequence that runs, with what it holds: rows of keys and a slot among the bitmaps of seen tokens. */
export interface Member {
  job: Job;
  sequence: GrowingSequence;
  run: PromptRun;
  slot: number;
  ownStart: number;
  /** Whether its prompt has been run, so that it has a token. */
  started: boolean;
  /** Tokens that are on the device alone: drawn by what was submitted, not back yet. */
  ahead: number;
  /** Where the last of those lies. */
  newest?: { ids: GPUBuffer; row: number };
}

/** Tokens that a sequence has on the host and on the device. */
export function drawn({ sequence, ahead }: Pick<Member, "sequence" | "ahead">): number {
  return sequence.ids.length + ahead;
}

/** A request, its sequences, and the promise of what they get. */
export class Job {
  readonly sequences: GrowingSequence[];
  /** Sequences that have not begun, in order, with the prompts that they share. */
  readonly runs: { sequence: GrowingSequence; run: PromptRun }[];
  readonly edits: readonly Edit[];
  readonly sampling: Sampling;
  readonly result: Promise<Generated[]>;
  /** Whether the promise is kept or broken. */
  settled = false;
  readonly #promise = Promise.withResolvers<Generated[]>();

  /** @param request as `checkRequest` lets it pass */
  constructor(readonly model: Transformer, readonly request: GenerateRequest) {
    const { prompts, maxNewTokens, streams, edits = [], sampling } = request;
    this.result = this.#promise.promise;
    this.edits = edits;
    this.sampling = sampling;
    this.sequences = prompts.map((prompt, s) => {
      const limit = Math.min(maxNewTokens, model.spec.maxPositions - prompt.length);
      return new GrowingSequence(s, prompt, streams?.[s] ?? s, limit);
    });
    const open = this.sequences.filter(({ finish }) => !finish).map(({ index }) => index);
    this.runs = groupPrompts(prompts, edits, open).flatMap(({ prompt, sequences }) => {
      const { length } = prompt;
      const [first] = sequences;
      const run = { job: this, prompt, length, done: 0, start: 0, members: 0, first };
      return sequences.map((s) => ({ sequence: this.sequences[s], run }));
    });
    this.settle();
  }

  /** Keeps the promise once every sequence has ended. */
  settle(): void {
    if (this.settled || !this.sequences.every(({ finish }) => finish)) return;
    this.settled = true;
    const logprobs = this.request.logprobs !== undefined;
    this.#promise.resolve(this.sequences.map((one) => ({
      ids: one.ids,
      finish: one.finish!,
      ...(logprobs ? { logprobs: one.logprobs } : {}),
    })));
  }

  /** Breaks the promise; what its sequences hold goes back before the next pass. */
  fail(reason: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#promise.reject(reason);
  }
}

/** The edits of a batch of sequences of several jobs: each is edited by its own job's alone. */
export function batchEdits(places: readonly { job: Job; index: number }[]): Edit[] {
  const jobs = new Set(places.map(({ job }) => job));
  return [...jobs].flatMap((job) =>
    job.edits.map((edit) => ({
      ...edit,
      scale: places.map((place) => place.job === job ? scaleOf(edit, place.index) : null),
    }))
  );
}

function scaleOf({ scale, op }: Edit, index: number): number | null {
  if (typeof scale === "object") return scale[index];
  return scale ?? (op === "project" ? 0 : 1);
}
