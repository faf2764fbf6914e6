/** The passes of generation: pieces of prompts, and steps of sequences that have begun. */

import type { KeyPlacement } from "../batch.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { KvCache } from "../kv_cache.ts";
import { copyRows } from "../ops/rows.ts";
import type { Transformer } from "../transformer.ts";
import { Draw } from "./draw.ts";
import { batchEdits, drawn, type Member, type PromptRun } from "./job.ts";
import type { Piece } from "./plan.ts";
import type { Room } from "./room.ts";
import type { SeenTokens } from "./seen_tokens.ts";

const LAST_LOGITS = [{ hook: "logits", positions: [-1] }];

/** What the passes of a scheduler share. */
export interface PassState {
  gpu: Gpu;
  cache: KvCache;
  seen: SeenTokens;
  room: Room;
}

/**
 * Runs pieces of prompts, and draws the first token of the sequences whose prompt ends there.
 *
 * @param begun the sequences that wait for each piece's end, none where the piece is not the last
 */
export async function runPieces(
  state: PassState,
  model: Transformer,
  pieces: readonly Piece<PromptRun>[],
  begun: readonly (readonly Member[])[],
): Promise<Draw | undefined> {
  const { gpu, cache, seen } = state;
  const members = begun.flat();
  const draw = members.length > 0 ? new Draw(gpu, members, 1, seen) : undefined;
  const batch = model.batch(
    pieces.map(({ prompt: { prompt }, from, to }) => Array.prototype.slice.call(prompt, from, to)),
    pieces.map(({ prompt: { start }, from }) => ({
      prefixStart: 0,
      prefixLength: 0,
      ownStart: start,
      ownLength: from,
    })),
  );
  await submit(state, (recorder) => {
    const captured = model.record(recorder, batch, {
      cache,
      edits: batchEdits(pieces.map(({ prompt: { job, first } }) => ({ job, index: first }))),
      capture: draw ? LAST_LOGITS : [],
    });
    if (draw) {
      // Sequences that share a prompt have a row each, for sampling spoils it.
      const pairs = begun.flatMap((some, piece) => some.map(() => piece))
        .flatMap((piece, row) => [piece, row]);
      const width = model.spec.vocabSize;
      const logits = gpu.tensor([members.length, width]);
      copyRows(recorder, {
        pairs: recorder.upload(Uint32Array.from(pairs)),
        x: captured.get("logits").buffer,
        out: logits.buffer,
        count: members.length,
        width,
      });
      seen.begin(recorder, members);
      draw.record(recorder, logits, 0);
      logits.release();
    }
    captured.release();
  }, draw);
  return draw;
}

/** Draws `steps` tokens for each of these sequences, of which each has one already. */
export async function runSteps(
  state: PassState,
  model: Transformer,
  members: readonly Member[],
  steps: number,
): Promise<Draw> {
  const { gpu, cache, seen } = state;
  const draw = new Draw(gpu, members, steps, seen);
  const edits = batchEdits(members.map(({ job, sequence: { index } }) => ({ job, index })));
  const unknown = members.map(() => [0]); // the tokens themselves are on the device
  await submit(state, (recorder) => {
    draw.begin(recorder);
    for (let step = 0; step < steps; step++) {
      const batch = model.batch(unknown, members.map((member) => placement(member, step)));
      const captured = model.record(recorder, batch, {
        cache,
        edits,
        capture: LAST_LOGITS,
        ids: draw.ids.buffer,
      });
      draw.record(recorder, captured.get("logits"), step);
      captured.release();
    }
  }, draw);
  return draw;
}

/** Where a sequence's keys lie when the token of a step is fed: all of its tokens but the last are there. */
function placement(member: Member, step: number): KeyPlacement {
  const { run, ownStart } = member;
  const ownLength = drawn(member) - 1 + step;
  return { prefixStart: run.start, prefixLength: run.length, ownStart, ownLength };
}

async function submit(
  { gpu, room }: PassState,
  record: (recorder: Recorder) => void,
  draw: Draw | undefined,
): Promise<void> {
  // Buffers of other sizes, from passes before: they cannot be freed while this one is recorded.
  if (gpu.buffers.remainingBytes < room.workBytes) gpu.buffers.trim();
  const recorder = gpu.record();
  try {
    record(recorder);
    draw?.end(recorder);
    await recorder.submit();
    draw?.submitted();
  } catch (error) {
    draw?.release();
    throw error;
  } finally {
    recorder.close();
  }
}
