/**
 * Which sequences run: continuous batching (Yu et al., "Orca", OSDI 2022).
 *
 * Requests come at any time and wait in one queue, first come first served. Between two passes those that were given up or
 * have ended leave, and the next ones join as far as there are rows for their keys. Long prompts are run piece by piece, so
 * that sequences that have begun go on meanwhile. Models of one shape (a base and its adapters) share the rows and the turns.
 *
 * What a sequence gets depends on its prompt, its edits, the sampling and its stream alone.
 */

import { InterruptedError, OutOfMemoryError } from "../errors.ts";
import { KvCache } from "../kv_cache.ts";
import type { Transformer } from "../transformer.ts";
import type { Draw } from "./draw.ts";
import { drawn, type Generated, Job, type Member } from "./job.ts";
import { KeyRows } from "./key_rows.ts";
import { Pace } from "./pace.ts";
import { type PassState, runPieces, runSteps } from "./passes.ts";
import { nextPieces } from "./plan.ts";
import { checkRequest, type GenerateRequest } from "./request.ts";
import { type Room, usualSteps } from "./room.ts";
import { SeenTokens } from "./seen_tokens.ts";

/** Prompt tokens a pass, and steps a round, while sequences and prompts have to wait for each other. */
const SHARED_TOKENS = 512;
const SHARED_STEPS = 4;

/** How much a scheduler may hold. */
export interface SchedulerLimits {
  /** What fits on the device; see `generationRoom`. */
  room: Room;
  /** Tokens whose keys and values are kept at once. */
  keys: number;
  /** Sequences that run at once. */
  sequences: number;
  /** Edits that are made at once, of all requests. */
  edits: number;
}

/** What was submitted at once. */
interface Turn {
  members: readonly Member[];
  draws: readonly Draw[];
  /** Of a turn that draws nothing, so that no more than two are under way. */
  ended?: Promise<void>;
  /** Steps of those that have begun; 0 where prompts were run beside them. */
  steps: number;
  /** When it was submitted, by the host's clock. */
  since: number;
}

/** Runs requests side by side. It works while there is something to do. */
export class Scheduler {
  readonly #state: PassState;
  readonly #rows: KeyRows;
  readonly #slots: number[];
  #waiting: Job["runs"][number][] = [];
  #members: Member[] = [];
  #tasks: (() => Promise<void>)[] = [];
  readonly #pace = new Pace();
  /** When the device had done the last turn, by the host's clock. */
  #idleSince = 0;
  #loop: Promise<void> | undefined;
  #closed = false;

  /** @param model one of those that shall run: the others have its shape and live on its device */
  constructor({ gpu, spec }: Transformer, readonly limits: SchedulerLimits) {
    const cache = new KvCache(gpu, spec, limits.keys);
    this.#state = {
      gpu,
      cache,
      seen: new SeenTokens(gpu, limits.sequences, spec.vocabSize),
      room: limits.room,
    };
    this.#rows = new KeyRows(limits.keys);
    this.#slots = Array.from({ length: limits.sequences }, (_, slot) => slot).reverse();
  }

  /** Sequences that have not begun. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Sequences that run. */
  get running(): number {
    return this.#members.length;
  }

  /** Rows of keys that are in use. */
  get usedKeys(): number {
    return this.#rows.used;
  }

  /**
   * Fails for a request that can never be met; it may be asked before {@link submit}, which does so itself.
   *
   * @throws {UsageError} see `generate`
   * @throws {OutOfMemoryError} when the keys of one sequence can never fit, or there are too many edits
   */
  check(model: Transformer, request: GenerateRequest): void {
    checkRequest(model.spec, request);
    const { prompts, maxNewTokens, edits = [] } = request;
    for (const { length } of prompts) {
      const limit = Math.min(maxNewTokens, model.spec.maxPositions - length);
      const fits = limit === 0 || length + limit - 1 <= this.limits.keys;
      if (!fits) throw tooLong(limit, length, this.limits.keys);
    }
    if (edits.length > this.limits.edits) {
      throw new OutOfMemoryError(
        `Cannot make ${edits.length} edits: there is room for ${this.limits.edits}`,
      );
    }
  }

  /**
   * Generates a continuation of each prompt.
   *
   * @throws {UsageError | OutOfMemoryError} as {@link check}
   * @throws {ModelError} when a model's logits are not numbers
   * @throws {InterruptedError} when the scheduler is closed
   */
  async submit(model: Transformer, request: GenerateRequest): Promise<Generated[]> {
    this.check(model, request);
    request.signal?.throwIfAborted();
    if (this.#closed) throw closed();
    const job = new Job(model, request);
    this.#waiting.push(...job.runs);
    this.#start();
    return await job.result;
  }

  /** Does other work on the device between two passes, so that it has the memory that passes need. */
  run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closed());
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#tasks.push(async () => {
      const result = task();
      resolve(result);
      await result.catch(() => {}); // whoever asked hears of it
    });
    this.#start();
    return promise;
  }

  /** Gives up what is under way, and frees the memory once the last pass has ended. */
  async close(reason: unknown = closed()): Promise<void> {
    this.#closed = true;
    this.#failAll(reason);
    await this.#loop;
    this.#state.cache.destroy();
    this.#state.seen.release();
  }

  #failAll(reason: unknown): void {
    for (const { job } of [...this.#members, ...this.#waiting.map(({ run }) => run)]) {
      job.fail(reason);
    }
  }

  #start(): void {
    this.#loop ??= this.#work();
  }

  async #work(): Promise<void> {
    await null; // requests that are made together begin together
    let turn: Turn | undefined;
    try {
      while (turn || this.#tasks.length + this.#waiting.length + this.#members.length > 0) {
        if (this.#tasks.length > 0) {
          if (turn) await this.#collect(turn);
          turn = undefined;
          for (const task of this.#tasks.splice(0)) await task();
        }
        this.#leave();
        this.#admit();
        // The device goes on while the tokens of the turn before come back. Sequences that turn out to have ended get no more of it.
        const next = await this.#turn();
        if (turn) await this.#collect(turn);
        turn = next;
      }
    } catch (error) {
      this.#failAll(error);
    } finally {
      this.#loop = undefined;
    }
  }

  /** Sequences that ended or were given up leave. */
  #leave(): void {
    for (const { job } of [...this.#members, ...this.#waiting.map(({ run }) => run)]) {
      const { signal } = job.request;
      if (signal?.aborted) job.fail(signal.reason);
      else job.settle();
    }
    this.#waiting = this.#waiting.filter(({ run: { job } }) => !job.settled);
    this.#members = this.#members.filter((member) => {
      const { job, sequence, run, slot, ownStart } = member;
      if (!job.settled && !sequence.finish) return true;
      this.#rows.release(ownStart, sequence.limit - 1);
      this.#slots.push(slot);
      run.members--;
      if (run.members === 0) {
        this.#rows.release(run.start, run.length);
        run.done = 0;
      }
      return false;
    });
  }

  /** The first of the queue join, as many as there is room for. */
  #admit(): void {
    while (this.#waiting.length > 0 && this.#slots.length > 0) {
      const { sequence, run } = this.#waiting[0];
      const { job } = run;
      const jobs = new Set([job, ...this.#members.map(({ job }) => job)]);
      const edits = [...jobs].reduce((sum, { edits }) => sum + edits.length, 0);
      if (edits > this.limits.edits) return;
      const shared = run.members > 0;
      const start = shared ? run.start : this.#rows.reserve(run.length);
      if (start === undefined) return;
      const ownStart = this.#rows.reserve(sequence.limit - 1);
      if (ownStart === undefined) {
        if (!shared) this.#rows.release(start, run.length);
        return;
      }
      this.#waiting.shift();
      run.start = start;
      run.members++;
      // The prompt's last token is run again for whoever comes later: to the same keys, and the logits after it.
      if (run.done === run.length) run.done--;
      const slot = this.#slots.pop()!;
      this.#members.push({ job, sequence, run, slot, ownStart, started: false, ahead: 0 });
    }
  }

  /** Submits pieces of prompts where some wait, and some steps of all that have begun; nothing where all have their last token ahead. */
  async #turn(): Promise<Turn | undefined> {
    const left = (member: Member) => member.sequence.limit - drawn(member);
    const members = this.#members.filter((member) => left(member) > 0);
    if (members.length === 0) return undefined;
    const live = members.filter(({ started }) => started);
    const fresh = members.filter(({ started }) => !started);
    const both = live.length > 0 && fresh.length > 0;
    if (fresh.length > 0) this.#pace.restart();
    const most = fresh.length > 0
      ? SHARED_STEPS
      : this.#pace.next(usualSteps(this.#state.gpu, live.length));
    const draws: Draw[] = [];
    let longest = 0;
    try {
      for (const [model, some] of byModel(fresh)) {
        const tokens = Math.min(this.limits.room.passTokens, both ? SHARED_TOKENS : Infinity);
        draws.push(...await this.#prompts(model, some, tokens));
      }
      for (const [model, some] of byModel(live)) {
        const steps = Math.min(most, ...some.map(left));
        draws.push(await runSteps(this.#state, model, some, steps));
        longest = Math.max(longest, steps);
      }
      const ended = draws.length === 0 ? this.#state.gpu.finish() : undefined;
      ended?.catch(() => {}); // it is waited for later
      const since = performance.now();
      return { members, draws, ended, since, steps: fresh.length === 0 ? longest : 0 };
    } catch (error) {
      for (const { job } of members) job.fail(error);
      for (const draw of draws) draw.release();
      return undefined;
    }
  }

  /** Runs the next pieces of the prompts of these sequences. */
  async #prompts(model: Transformer, fresh: readonly Member[], tokens: number): Promise<Draw[]> {
    const pieces = nextPieces(new Set(fresh.map(({ run }) => run)), tokens);
    const begun = pieces.map(({ prompt, to }) =>
      to < prompt.length ? [] : fresh.filter(({ run }) => run === prompt)
    );
    const draw = await runPieces(this.#state, model, pieces, begun);
    for (const { prompt, to } of pieces) prompt.done = to;
    for (const member of begun.flat()) member.started = true;
    return draw ? [draw] : [];
  }

  /** Waits for a turn's end, and for its tokens. */
  async #collect({ members, draws, ended, steps, since }: Turn): Promise<void> {
    try {
      await ended;
      for (const draw of draws) await draw.collect();
      const now = performance.now();
      if (steps > 0) this.#pace.took(steps, now - Math.max(since, this.#idleSince));
      this.#idleSince = now;
    } catch (error) {
      for (const { job } of members) job.fail(error);
    } finally {
      for (const draw of draws) draw.release();
    }
  }
}

function byModel(members: readonly Member[]): Map<Transformer, Member[]> {
  return Map.groupBy(members, ({ job }) => job.model);
}

function closed(): InterruptedError {
  return new InterruptedError("Cannot generate: the work was ended");
}

function tooLong(limit: number, prompt: number, keys: number): OutOfMemoryError {
  return new OutOfMemoryError(
    `Cannot generate ${limit} tokens after a prompt of ${prompt}: there is memory for the keys and ` +
      `values of ${keys} tokens; ask for fewer, or raise the memory budget`,
  );
}
