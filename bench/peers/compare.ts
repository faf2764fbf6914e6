/** Checks the peers' answers against ours, and times the jobs that all of them do. */

import { someTokens } from "../context.ts";
import { median } from "../../engine/gpu/measure.ts";
import { type Row, row } from "../row.ts";
import type { OpenPeer } from "./open.ts";
import type { Job } from "./worker.ts";

/** Sequences of the pass of many. */
export const SEQUENCES = 32;
const SEQUENCE_TOKENS = 16;
const PROMPT_TOKENS = 512;
const NEW_TOKENS = 33;

/** What is timed. */
export const JOBS = ["prefill", "batch32x16", "decode"] as const;

/** A job, how many tokens it makes or reads in its time, and how much quicker than each peer it should be. */
interface Measure {
  name: typeof JOBS[number];
  job: Exclude<Job, { kind: "check" }>;
  tokens: number;
  aims: Record<string, string>;
}

function measures(vocabulary: number, promptTokens: number): Measure[] {
  const prompt = someTokens(promptTokens, vocabulary, 1);
  const sequences = Array.from(
    { length: SEQUENCES },
    (_, s) => someTokens(SEQUENCE_TOKENS, vocabulary, s),
  );
  return [
    {
      name: "prefill",
      job: { kind: "pass", sequences: [prompt] },
      tokens: promptTokens,
      aims: { onnxruntime: "≥ 4", "llama-vulkan": "≥ 2.5" },
    },
    {
      name: "batch32x16",
      job: { kind: "pass", sequences },
      tokens: SEQUENCES * SEQUENCE_TOKENS,
      aims: {},
    },
    {
      name: "decode",
      job: { kind: "decode", prompt, newTokens: NEW_TOKENS },
      tokens: NEW_TOKENS - 1,
      aims: { onnxruntime: "≥ 6", "llama-vulkan": "≥ 3" },
    },
  ];
}

/** Fails when a peer's logits after some tokens are not ours; tells how far they are apart. */
export async function checkPeer(
  ours: OpenPeer,
  peer: OpenPeer,
  vocabulary: number,
): Promise<number> {
  const tokens = someTokens(32, vocabulary, 5);
  const ids = [0, 1, 2, 3, ...someTokens(12, vocabulary, 6)];
  const job: Job = { kind: "check", tokens, ids };
  const [expected, found] = [await ours.ask(job), await peer.ask(job)];
  if (found.tokens![0] !== expected.tokens![0]) {
    throw new Error(`its argmax is ${found.tokens![0]}, ours ${expected.tokens![0]}`);
  }
  const size = Math.max(...expected.logits!.map(Math.abs));
  const error = Math.max(...found.logits!.map((x, i) => Math.abs(x - expected.logits![i]))) / size;
  if (!(error <= peer.tolerance)) {
    throw new Error(`its logits are off by ${error.toExponential(0)} of the largest`);
  }
  return error;
}

/** How many of a measure's tokens agree with ours: f32 must agree in all, coarser numbers in most. */
function checkTokens(peer: OpenPeer, found: number[], expected: number[], decode: boolean): string {
  const first = found.findIndex((token, i) => token !== expected[i]);
  const equal = found.filter((token, i) => token === expected[i]).length;
  if (first < 0) return "the same tokens";
  const exact = peer.tolerance < 1e-3;
  // Once a greedy token differs, all later ones do.
  const enough = decode ? first > 0 : equal >= 0.9 * expected.length;
  if (exact || !enough) throw new Error(`it got other tokens, from number ${first} on`);
  return decode
    ? `the same tokens up to number ${first}`
    : `${equal} of ${expected.length} argmaxes the same`;
}

/**
 * Adds rows of tokens/s for ours and each peer, and ours to each: medians of turns in which all have their go. A peer that fails a
 * check gets a row that says so, and no number.
 *
 * @param errors of the peers' logits, by name, for the notes
 * @param add takes the rows, those of each job when it is done
 */
export async function compare(
  shape: string,
  peers: readonly OpenPeer[],
  vocabulary: number,
  { jobs = JOBS, turns, promptTokens = PROMPT_TOKENS, errors, add }: {
    jobs?: readonly string[];
    turns: number;
    promptTokens?: number;
    errors: ReadonlyMap<string, number>;
    add: (row: Row) => void;
  },
): Promise<void> {
  for (const { name, job, tokens, aims } of measures(vocabulary, promptTokens)) {
    if (!jobs.includes(name)) continue;
    const failures = new Map<OpenPeer, string>();
    const notes = new Map<OpenPeer, string>();
    let expected: number[] | undefined;
    for (const peer of peers) { // the warm-up, and the check of every token
      try {
        const found = (await peer.ask(job)).tokens!;
        expected ??= found;
        notes.set(peer, checkTokens(peer, found, expected, job.kind === "decode"));
        console.error(`${shape} ${name}: ${peer.name} is ready`);
      } catch (error) {
        failures.set(peer, (error as Error).message);
      }
    }
    const times = new Map<OpenPeer, number[]>();
    const sound = peers.filter((peer) => !failures.has(peer));
    for (let turn = 0; turn < turns; turn++) {
      for (const peer of sound) {
        const { milliseconds } = await peer.ask(job);
        times.set(peer, [...times.get(peer) ?? [], milliseconds!]);
      }
    }
    const speed = (peer: OpenPeer) => tokens / median(times.get(peer)!) * 1000;
    const label = (peer: OpenPeer) => `peers/${name}/${shape}/${peer.name}`;
    for (const peer of peers) {
      if (failures.has(peer)) add(leftOut(label(peer), failures.get(peer)!));
      else {
        const error = errors.get(peer.name);
        const note = error === undefined
          ? "checked against float64"
          : `${notes.get(peer)}; logits within ${error.toExponential(0)}`;
        add(row(label(peer), speed(peer), "tokens/s", { timed: "wall", note }));
      }
    }
    const [ours, ...others] = sound;
    for (const peer of others) {
      const value = speed(ours) / speed(peer);
      add(row(`peers/${name}/${shape}/ours:${peer.name}`, value, "×", {
        aim: aims[peer.name],
      }));
    }
  }
}

/** The row of a peer that is not quoted. */
export function leftOut(name: string, why: string): Row {
  return row(name, NaN, "tokens/s", { note: `left out: ${why}` });
}
