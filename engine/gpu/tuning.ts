/** Which variant of a kernel runs at which size. Whatever is chosen, the bits are the same: only the time differs. */

import { UsageError } from "../errors.ts";
import type { DeviceProfile } from "./profile.ts";

/** A choice among variants of a kernel, made for each class of sizes. */
interface Knob {
  /** The kernels whose source decides which choice is the fastest. */
  kernels: readonly string[];
  /** What a size is made of, and the upper ends of its classes; what is larger than the last is a class of its own. */
  sizes: Readonly<Record<string, readonly number[]>>;
  choices: readonly string[];
}

/** Everything that may be chosen. */
export const KNOBS = {
  /**
   * `rows N`: matmul.wgsl with blocks of N rows; `texel`: through textures; `lanes`: matvec.wgsl, several lanes a column; `subgroups`:
   * the same with matvec_subgroup.wgsl, on devices that have them; `tile N`: tiles of N × N in workgroup memory;
   * `staged N`: the same with matmul_staged.wgsl, the next tile on its way meanwhile; `block N`: the same with matmul_blocked.wgsl,
   * four times as many outputs a thread; `split 32`: matmul_split.wgsl, four chunks of k's at once.
   */
  matmul: {
    kernels: [
      "matmul",
      "matmul_blocked",
      "matmul_split",
      "matmul_staged",
      "matmul_texel",
      "matmul_tiled",
      "matvec",
      "matvec_subgroup",
    ],
    sizes: { rows: [1, 2, 4, 8, 16, 31, 63, 127, 511], weights: [1 << 20] },
    choices: [
      "rows 1",
      "rows 2",
      "rows 4",
      "rows 8",
      "rows 16",
      "texel",
      "lanes",
      "subgroups",
      "tile 32",
      "tile 64",
      "staged 32",
      "staged 64",
      "block 64",
      "block 128",
      "split 32",
    ],
  },
  /** A norm after a sublayer, and the sum with it, in the dispatch of the next product of few rows, or in one of its own. */
  sublayer_norm: {
    kernels: ["few_rows", "matvec_fused", "rmsnorm_vec4"],
    sizes: { rows: [1, 2, 4], weights: [1 << 22] },
    choices: ["joined", "apart"],
  },
  /** Tokens in blocks of one sequence (on software adapters through textures), or each by itself. */
  attention: {
    kernels: ["attention", "attention_texel", "attention_tiled", "attention_workgroup"],
    sizes: { tokens: [31, 63, 127, 255] },
    choices: ["blocks", "tokens"],
  },
  /** Threads a row × rows a workgroup of the kernels on rows of features. */
  row_block: {
    kernels: ["rmsnorm", "rmsnorm_vec4"],
    sizes: { width: [256, 1024] },
    choices: ["1x8", "4x8", "8x1", "8x4", "32x1", "32x8"],
  },
  /** Threads a row of the kernels on rows of a vocabulary; `turns` is width times how often an element is gone to. */
  long_row: {
    kernels: ["softmax", "kth_largest"],
    sizes: { turns: [1 << 14, 1 << 17] },
    choices: ["8", "16", "32", "64", "128", "256"],
  },
} as const satisfies Record<string, Knob>;

/** A name of {@link KNOBS}. */
export type KnobName = keyof typeof KNOBS;

/** What may be chosen for a knob. */
export type Choice<K extends KnobName = KnobName> = typeof KNOBS[K]["choices"][number];

/**
 * What each class of adapter begins with, where nothing was tuned. Those of `software` were measured on lavapipe; the others follow from what is
 * published of the hardware, and were not measured on it:
 *
 * - Nvidia's warps and Apple's SIMD groups are 32 wide, AMD's waves 32 or 64, and their cores hold several workgroups of 256
 *   threads with 16 KiB each: tiles of 64 × 64, and 32 threads a row.
 * - Cores of integrated GPUs run 8 to 32 wide (Intel 8, 16 or 32; Mali 16; Adreno 64 or 128) and have fewer registers for each
 *   thread, and on some of them workgroup memory is a part of the cache: tiles of 32 × 32 by 64 threads in 8 KiB, 8 threads a row.
 * - Workgroup memory brings a core of Nvidia's 128 bytes while it multiplies 128 times: 4 × 4 outputs a thread are bound by that, 8 × 8 are
 *   not. They want some 208 registers, which Nvidia's and AMD's threads have: there products of enough tiles have them
 *   (`block`, see `matmul.ts`).
 * - Everywhere memory answers after hundreds of cycles: the next tile is asked for before the one that is there is multiplied.
 */
export const DEFAULTS: Readonly<
  Record<DeviceProfile, {
    matmul: Choice<"matmul">;
    row_block: Choice<"row_block">;
    long_row: Choice<"long_row">;
  }>
> = {
  software: { matmul: "texel", row_block: "8x4", long_row: "16" },
  integrated: { matmul: "staged 32", row_block: "8x4", long_row: "128" },
  discrete: { matmul: "staged 64", row_block: "32x8", long_row: "256" },
  apple: { matmul: "staged 64", row_block: "32x8", long_row: "256" },
};

/** Choices by `knob/class/…`, such as `matmul/16/1048576` for at most so many rows and weights, `max` for more. */
export type Choices = Readonly<Record<string, string>>;

/** The key of a knob's class. */
export function classKey(knob: KnobName, ...sizes: readonly number[]): string {
  const ends = Object.values<readonly number[]>(KNOBS[knob].sizes);
  return [knob, ...ends.map((list, i) => list.find((end) => sizes[i] <= end) ?? "max")].join("/");
}

/** The keys of all classes of a knob: those of its last size follow one another. */
function keysOf(knob: KnobName): string[] {
  let keys: string[] = [knob];
  for (const ends of Object.values<readonly number[]>(KNOBS[knob].sizes)) {
    keys = keys.flatMap((key) => [...ends, "max"].map((end) => `${key}/${end}`));
  }
  return keys;
}

/** A knob's choices in the order of {@link keysOf}, and where the classes of its sizes end. */
interface Table {
  ends: readonly (readonly number[])[];
  choices: readonly (string | undefined)[];
}

/** The choices that a device runs by. */
export class Tuning {
  /** Nothing is chosen: every op goes by its own rule. */
  static readonly none = new Tuning({});
  /** By knobs: every product asks, so no key is made of its sizes. */
  readonly #tables = new Map<string, Table>();

  /** One choice for every size of a knob. */
  static always<K extends KnobName>(knob: K, choice: Choice<K>): Tuning {
    return new Tuning(Object.fromEntries(keysOf(knob).map((key) => [key, choice])));
  }

  /** @throws {UsageError} for a key or a choice that there is not */
  constructor(readonly choices: Choices) {
    for (const [key, choice] of Object.entries(choices)) check(key, choice);
    const knobs = new Set(Object.keys(choices).map((key) => key.split("/")[0] as KnobName));
    for (const knob of knobs) {
      const ends = Object.values<readonly number[]>(KNOBS[knob].sizes);
      this.#tables.set(knob, { ends, choices: keysOf(knob).map((key) => choices[key]) });
    }
  }

  /** What was chosen for a size, or `undefined`. An op that cannot do it in some case goes by its own rule there. */
  choice<K extends KnobName>(knob: K, ...sizes: readonly number[]): Choice<K> | undefined {
    const table = this.#tables.get(knob);
    if (!table) return undefined;
    let at = 0;
    table.ends.forEach((list, i) => {
      const place = list.findIndex((end) => sizes[i] <= end);
      at = at * (list.length + 1) + (place < 0 ? list.length : place);
    });
    return table.choices[at] as Choice<K> | undefined;
  }
}

function check(key: string, choice: string): void {
  const [name, ...classes] = key.split("/");
  const knob: Knob | undefined = Object.hasOwn(KNOBS, name) ? KNOBS[name as KnobName] : undefined;
  const ends = Object.values(knob?.sizes ?? {});
  const known = classes.length === ends.length &&
    ends.every((list, i) => [...list, "max"].map(String).includes(classes[i]));
  if (!knob || !known) {
    throw new UsageError(`Cannot tune ${JSON.stringify(key.slice(0, 80))}: there is no such size`);
  }
  if (!knob.choices.includes(choice)) {
    const given = JSON.stringify(choice)?.slice(0, 80);
    throw new UsageError(`Cannot tune ${key} to ${given}: choices are ${knob.choices.join(", ")}`);
  }
}
