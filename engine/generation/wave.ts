/** Sequences that are generated at the same time: from their prompts to their ends. */

import type { KeyPlacement } from "../batch.ts";
import { editsOf } from "../edits.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { DeviceTensor } from "../gpu/tensor.ts";
import type { KvCache } from "../kv_cache.ts";
import { copyRows } from "../ops/rows.ts";
import { sampleTokens, seenWords } from "../ops/sampling.ts";
import type { Transformer } from "../transformer.ts";
import type { GenerateRequest } from "./request.ts";
import { type Piece, planPasses, type PromptGroup } from "./plan.ts";
import { MOST_STEPS, type Room } from "./room.ts";
import type { GrowingSequence } from "./sequence.ts";

const LAST_LOGITS = [{ hook: "logits", positions: [-1] }];

/** A sequence, the rows of its keys, and its place among the wave's bitmaps of seen tokens. */
interface Member {
  sequence: GrowingSequence;
  slot: number;
  group: number;
  prefixStart: number;
  ownStart: number;
}

/** What a wave works on. */
export interface WaveWork {
  request: GenerateRequest;
  /** Holds nothing that is still wanted. */
  cache: KvCache;
  groups: readonly PromptGroup[];
  /** All sequences of the request. */
  sequences: readonly GrowingSequence[];
  room: Room;
}

/** One wave; what it holds on the device goes back when it is disposed of. */
export class Wave {
  readonly #members: Member[];
  readonly #prefixStarts: number[];
  readonly #words: number;
  /** Of each slot the tokens that its sequence has, for the repetition penalty: `[slots, words]`. */
  readonly #seen: DeviceTensor;
  /** Tokens for the next pass, `[rows]`. */
  readonly #ids: DeviceTensor;
  /** Tokens since the last readback, `[steps, rows]`. */
  readonly #history: DeviceTensor;
  readonly #held: DeviceTensor[] = [];

  constructor(private readonly model: Transformer, private readonly work: WaveWork) {
    const { groups, cache, sequences, request } = work;
    const { gpu, spec } = model;
    this.#prefixStarts = groups.map(({ prompt }) => cache.reserve(prompt.length));
    this.#members = groups.flatMap((group, g) => group.sequences.map((s) => [g, s])).map(
      ([group, s], slot) => ({
        sequence: sequences[s],
        slot,
        group,
        prefixStart: this.#prefixStarts[group],
        ownStart: cache.reserve(sequences[s].limit - 1),
      }),
    );
    const rows = this.#members.length;
    this.#words = seenWords(request.sampling, spec.vocabSize);
    const hold = (tensor: DeviceTensor) => this.#held[this.#held.length] = tensor;
    try {
      const bitmaps = this.#promptBitmaps();
      this.#seen = hold(gpu.tensorFrom(bitmaps, [bitmaps.length]));
      this.#ids = hold(gpu.tensor([rows]));
      this.#history = hold(gpu.tensor([MOST_STEPS, rows]));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Gives the buffers back. */
  [Symbol.dispose](): void {
    for (const tensor of this.#held) tensor.release();
  }

  /** Runs the prompts, then steps until every sequence has ended. */
  async run(): Promise<void> {
    await this.#prefill();
    let live = this.#members;
    // The first rounds are short, so that text begins early.
    for (let steps = 2;; steps = Math.min(2 * steps, MOST_STEPS)) {
      live = live.filter(({ sequence }) => !sequence.finish);
      if (live.length === 0) return;
      const left = live.map(({ sequence }) => sequence.limit - sequence.ids.length);
      await this.#round(live, Math.min(steps, ...left));
    }
  }

  /** Runs the prompts and takes the first token of each sequence. */
  async #prefill(): Promise<void> {
    const { groups, request, room } = this.work;
    const { gpu, spec } = this.model;
    const passes = planPasses(groups.map(({ prompt }) => prompt.length), room.passTokens);
    const logits = gpu.tensor([this.#members.length, spec.vocabSize]);
    try {
      for (const [i, pieces] of passes.entries()) {
        // One pass at a time, so that the work can end between two.
        if (i > 0) await gpu.finish();
        request.signal?.throwIfAborted();
        await this.#submit((recorder) => {
          this.#prefillPass(recorder, pieces, logits);
          if (i === passes.length - 1) this.#sample(recorder, logits, this.#members, 0);
        });
      }
      await this.#collect(this.#members, 1);
    } finally {
      logits.release();
    }
  }

  /** Records pieces of prompts; the logits after a prompt's end go to the rows of its sequences. */
  #prefillPass(recorder: Recorder, pieces: readonly Piece[], logits: DeviceTensor): void {
    const { cache, groups, request: { edits = [] } } = this.work;
    const batch = this.model.batch(
      pieces.map(({ group, from, to }) =>
        Array.prototype.slice.call(groups[group].prompt, from, to)
      ),
      pieces.map(({ group, from }) => ({
        prefixStart: 0,
        prefixLength: 0,
        ownStart: this.#prefixStarts[group],
        ownLength: from,
      })),
    );
    const pairs = pieces.flatMap(({ group, to }, piece) =>
      to < groups[group].prompt.length
        ? []
        : this.#members.filter((m) => m.group === group).map(({ slot }) => [piece, slot])
    );
    const captured = this.model.record(recorder, batch, {
      cache,
      edits: editsOf(edits, pieces.map(({ group }) => groups[group].sequences[0])),
      capture: pairs.length > 0 ? LAST_LOGITS : [],
    });
    if (pairs.length > 0) {
      copyRows(recorder, {
        pairs: recorder.upload(Uint32Array.from(pairs.flat())),
        x: captured.get("logits").buffer,
        out: logits.buffer,
        count: pairs.length,
        width: this.model.spec.vocabSize,
      });
    }
    captured.release();
  }

  /** Some steps of the sequences that are not at their ends, and one readback. */
  async #round(live: readonly Member[], steps: number): Promise<void> {
    const { cache, request: { edits = [], signal } } = this.work;
    signal?.throwIfAborted();
    const edited = editsOf(edits, live.map(({ sequence }) => sequence.index));
    await this.#submit((recorder) => {
      for (let step = 0; step < steps; step++) {
        // Later tokens are known to the device alone.
        const last = live.map(({ sequence }) => step === 0 ? sequence.ids.slice(-1) : [0]);
        const batch = this.model.batch(last, live.map((member) => placement(member, step)));
        const captured = this.model.record(recorder, batch, {
          cache,
          edits: edited,
          capture: LAST_LOGITS,
          ids: step === 0 ? undefined : this.#ids.buffer,
        });
        this.#sample(recorder, captured.get("logits"), live, step);
        captured.release();
      }
    });
    await this.#collect(live, steps);
  }

  #sample(recorder: Recorder, logits: DeviceTensor, live: readonly Member[], step: number): void {
    const rows = live.flatMap(({ slot, sequence }) => [
      slot,
      sequence.stream,
      sequence.ids.length,
      0,
    ]);
    sampleTokens(recorder, logits, this.work.request.sampling, {
      rows: recorder.upload(Uint32Array.from(rows)),
      seen: this.#seen.buffer,
      words: this.#words,
      ids: this.#ids.buffer,
      history: this.#history.buffer,
    }, step);
  }

  /** Brings the tokens of a round back and gives them to their sequences. */
  async #collect(live: readonly Member[], steps: number): Promise<void> {
    const { gpu } = this.model;
    const used = new DeviceTensor(gpu, this.#history.buffer, [steps, live.length]);
    const [data] = await gpu.read([used]);
    const tokens = new Uint32Array(data);
    live.forEach(({ sequence }, row) => {
      const own = Array.from({ length: steps }, (_, step) => tokens[step * live.length + row]);
      sequence.append(own, this.work.request);
    });
  }

  /** The tokens of the prompts as bitmaps, `[slots, words]`; one empty word where none are kept. */
  #promptBitmaps(): Uint32Array<ArrayBuffer> {
    const words = this.#words;
    const bitmaps = new Uint32Array(Math.max(1, this.#members.length * words));
    if (words === 0) return bitmaps;
    for (const { slot, sequence: { prompt } } of this.#members) {
      for (let i = 0; i < prompt.length; i++) {
        bitmaps[slot * words + (prompt[i] >> 5)] |= 1 << (prompt[i] & 31);
      }
    }
    return bitmaps;
  }

  async #submit(record: (recorder: Recorder) => void): Promise<void> {
    const { gpu } = this.model;
    // Buffers of other sizes, from passes before: they cannot be freed while this one is recorded.
    if (gpu.buffers.remainingBytes < this.work.room.workBytes) gpu.buffers.trim();
    const recorder = gpu.record();
    try {
      record(recorder);
      await recorder.submit();
    } finally {
      recorder.close();
    }
  }
}

/** Where a sequence's keys lie when the token of a step is fed: all of its tokens but the last are there. */
function placement({ sequence, prefixStart, ownStart }: Member, step: number): KeyPlacement {
  const ownLength = sequence.ids.length - 1 + step;
  return { prefixStart, prefixLength: sequence.prompt.length, ownStart, ownLength };
}
