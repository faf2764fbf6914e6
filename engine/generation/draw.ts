/** Tokens that some sequences are given in one go: chosen on the device, brought back together. */

import type { Gpu } from "../gpu/gpu.ts";
import { Readback } from "../gpu/readback.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { DeviceTensor } from "../gpu/tensor.ts";
import { recordLogprobs, type TokenLogprobs, unpackLogprobs } from "../ops/logprobs.ts";
import { copyRows } from "../ops/rows.ts";
import { type SampledRows, sampleTokens, uploadRows } from "../ops/sampling.ts";
import { drawn, type Member } from "./job.ts";
import type { SeenTokens } from "./seen_tokens.ts";

/** A draw of `steps` tokens for each of its sequences. */
export class Draw {
  /** Tokens for the next pass, `[rows]`. */
  readonly ids: DeviceTensor;
  /** All of them, `[steps, rows]`. */
  readonly #history: DeviceTensor;
  /** Of the rows that want them, `[steps, wanting, 1 + top, 2]`. */
  readonly #logprobs: DeviceTensor | undefined;
  readonly #wanting: number[];
  readonly #top: number;
  #rows: SampledRows | undefined;
  readonly #back: Readback;
  #arrived: Promise<ArrayBuffer[]> | undefined;
  #uploads: { pairs: GPUBuffer; places: GPUBuffer } | undefined;

  constructor(
    private readonly gpu: Gpu,
    readonly members: readonly Member[],
    private readonly steps: number,
    private readonly seen: SeenTokens,
  ) {
    this.#back = new Readback(gpu);
    const wants = members.map(({ job }) => job.request.logprobs);
    this.#wanting = members.flatMap((_, row) => wants[row] === undefined ? [] : [row]);
    const { vocabSize } = members[0].job.model.spec;
    this.#top = Math.min(vocabSize, Math.max(0, ...wants.map((top) => top ?? 0)));
    this.ids = gpu.tensor([members.length]);
    this.#history = gpu.tensor([steps, members.length]);
    if (this.#wanting.length > 0) {
      this.#logprobs = gpu.tensor([steps, this.#wanting.length, 1 + this.#top, 2]);
    }
  }

  /** Gives the buffers back. */
  release(): void {
    this.#back.destroy();
    for (const tensor of [this.ids, ...this.#results]) tensor.release();
  }

  /** Records that {@link ids} are the sequences' newest tokens: from the host, or from the draws that have them. Before the steps. */
  begin(recorder: Recorder): void {
    const { members, ids: { buffer } } = this;
    if (members.some(({ newest }) => !newest)) {
      const known = Uint32Array.from(members, ({ sequence }) => sequence.ids.at(-1) ?? 0);
      recorder.copy(recorder.upload(known), 0, buffer, 0, known.byteLength);
    }
    for (let row = 0, count = 1; row < members.length; row += count, count = 1) {
      const { newest } = members[row];
      if (!newest) continue;
      // Those that were side by side mostly still are.
      const follows = (other: Member["newest"]) =>
        other?.ids === newest.ids && other.row === newest.row + count;
      while (follows(members[row + count]?.newest)) count++;
      recorder.copy(newest.ids, 4 * newest.row, buffer, 4 * row, 4 * count);
    }
  }

  /** Records one step from logits `[rows, vocab]`, which it spoils. All steps come with one recorder; {@link end} follows. */
  record(recorder: Recorder, logits: DeviceTensor, step: number): void {
    this.#rows ??= uploadRows(
      recorder,
      this.members.map((member) => ({
        slot: member.slot,
        stream: member.sequence.stream,
        step: drawn(member),
        sampling: member.job.sampling,
      })),
    );
    const plain = this.#logprobs && this.#copyWanting(recorder, logits);
    sampleTokens(recorder, logits, this.#rows, {
      ...this.seen.of(this.members),
      ids: this.ids.buffer,
      history: this.#history.buffer,
    }, step);
    if (!plain) return;
    recordLogprobs(recorder, {
      logits: plain,
      ids: this.ids.buffer,
      places: this.#uploads!.places,
      top: this.#top,
      out: this.#logprobs!.buffer,
      step,
    });
    plain.release();
  }

  /** Records, after the steps, that what was drawn is brought back. */
  end(recorder: Recorder): void {
    this.#back.record(recorder, this.#results);
  }

  /** To be called once all that is submitted: the sequences go on from here before their tokens are back. */
  submitted(): void {
    this.members.forEach((member, row) => {
      member.ahead += this.steps;
      member.newest = { ids: this.ids.buffer, row };
    });
    this.#arrived = this.#back.arrive();
    this.#arrived.catch(() => {}); // whoever collects gets the error
  }

  /** Waits for the tokens, and gives them to the sequences. One that cannot go on fails its job alone. */
  async collect(): Promise<void> {
    const { steps, members } = this;
    const [history, logprobs] = await this.#arrived!;
    const tokens = new Uint32Array(history);
    const told = logprobs && unpackLogprobs(logprobs, steps, this.#wanting.length, this.#top);
    members.forEach((member, row) => {
      const { job, sequence } = member;
      member.ahead -= steps;
      if (member.ahead === 0) member.newest = undefined;
      if (job.settled) return;
      const own = Array.from({ length: steps }, (_, s) => tokens[s * members.length + row]);
      const place = this.#wanting.indexOf(row);
      const top = job.request.logprobs;
      const ownLogprobs = place < 0 ? [] : told!.map((rows): TokenLogprobs => ({
        ...rows[place],
        top: rows[place].top.slice(0, top),
      }));
      try {
        sequence.append(own, job.request, ownLogprobs);
      } catch (error) {
        job.fail(error);
      }
    });
  }

  get #results(): DeviceTensor[] {
    return this.#logprobs ? [this.#history, this.#logprobs] : [this.#history];
  }

  /** The logits of the rows that want log-probabilities, before sampling changes them. */
  #copyWanting(recorder: Recorder, logits: DeviceTensor): DeviceTensor {
    const wanting = this.#wanting;
    this.#uploads ??= {
      pairs: recorder.upload(Uint32Array.from(wanting.flatMap((row, i) => [row, i]))),
      places: recorder.upload(Uint32Array.from(wanting)),
    };
    const width = logits.shape[1];
    const plain = this.gpu.tensor([wanting.length, width]);
    copyRows(recorder, {
      pairs: this.#uploads.pairs,
      x: logits.buffer,
      out: plain.buffer,
      count: wanting.length,
      width,
    });
    return plain;
  }
}
