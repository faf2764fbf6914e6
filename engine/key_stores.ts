/** Where the keys and values of a pass go, layer by layer: to a cache, or no further than the batch itself. */

import { type Batch, furthestPosition } from "./batch.ts";
import { UsageError } from "./errors.ts";
import type { Gpu } from "./gpu/gpu.ts";
import type { Recorder } from "./gpu/recorder.ts";
import type { KvCache } from "./kv_cache.ts";
import { type ModelSpec, projectedWidth } from "./model_spec.ts";
import { withHeld } from "./ops/attention_decode.ts";
import type { QueryRuns } from "./ops/attention.ts";
import { fitsEach, type SharedPrefixes } from "./ops/attention_each.ts";
import { sharedPrefixes } from "./prefix_groups.ts";
import { oneTokenEach, queryRuns } from "./query_runs.ts";

/** Where the keys of a layer go and are found. */
export interface KeyStore {
  /** Token info, as attention.wgsl has it. */
  info: GPUBuffer;
  /** Runs of tokens, where attention can make use of them. */
  runs?: QueryRuns;
  /** Textures that hold the first keys and values of each token too; how many then stands in `info`. */
  texels?: { k: GPUTexture; v: GPUTexture };
  /**
   * Where the textures hold all of them, and the pass puts its own there: room for its projections, side by side, and its queries;
   * and what tokens share, if they do.
   */
  each?: { qkv: GPUTexture; q: GPUTexture; shared?: SharedPrefixes };
  /**
   * The cache's buffers of this layer, with the pairs (batch row, cache row) for whoever copies rows; absent where the batch is its own
   * store.
   */
  cached?: { k: GPUBuffer; v: GPUBuffer; rows: () => GPUBuffer };
}

type TokenPlaces = Pick<KeyStore, "info" | "runs">;

/** Which cache rows a batch's keys go to, and how the layers that the cache leaves out find theirs. */
export class KeyStores {
  readonly #cached: TokenPlaces;
  readonly #fresh: TokenPlaces;
  readonly #pairs: Uint32Array<ArrayBuffer> | undefined;
  #rows: GPUBuffer | undefined;
  /** Whether the cached tokens' info tells what textures hold, or they hold all. */
  readonly #held: boolean;
  readonly #each: KeyStore["each"];

  /** @param first the first layer that the pass runs */
  constructor(
    private readonly recorder: Recorder,
    batch: Batch,
    private readonly cache: KvCache | undefined,
    first: number,
    spec: ModelSpec,
  ) {
    const places = (info: Uint32Array<ArrayBuffer>): TokenPlaces => ({
      info: recorder.upload(info),
      runs: queryRuns(recorder, batch, info),
    });
    const fresh = cache && cache.firstLayer > first ? freshInfo(batch) : undefined;
    const texels = oneTokenEach(batch) ? cache?.texels : undefined;
    const room = texels && attendsEach(recorder.gpu, spec, batch)
      ? roomForEach(recorder.gpu, spec, batch)
      : undefined;
    if (room) {
      const share = spec.heads / spec.kvHeads;
      this.#each = { ...room, shared: sharedPrefixes(recorder, batch.info, share, cache!) };
    }
    const each = room !== undefined;
    const held = texels?.hold(recorder, batch, cache!.layers(), each);
    this.#held = held !== undefined;
    this.#cached = this.#fresh = places(held && !each ? withHeld(batch.info, held) : batch.info);
    if (!cache) return;
    this.#pairs = keyRows(batch);
    cache.texels?.written(this.#pairs.filter((_, i) => i % 2 === 1), each);
    if (fresh) this.#fresh = places(fresh);
  }

  /** Gives back what only this pass has, once it is recorded. */
  close(): void {
    if (!this.#each) return;
    const { qkv, q } = this.#each;
    for (const texture of [qkv, q]) this.recorder.gpu.texels.release(texture);
  }

  /** The store of a layer. */
  of(layer: number): KeyStore {
    const cached = this.cache?.layer(layer);
    if (!cached) return this.#fresh;
    const texels = this.#held
      ? this.cache!.texels!.layers[layer - this.cache!.firstLayer]
      : undefined;
    const rows = () => this.#rows ??= this.recorder.upload(this.#pairs!);
    return { ...this.#cached, texels, each: this.#each, cached: { ...cached, rows } };
  }
}

/** Sequences from which on a thread a token and head is the quickest: fewer leave lanes without work. */
const LEAST_EACH = 8;

/** Whether all layers' attention goes the way of many sequences. */
function attendsEach(gpu: Gpu, spec: ModelSpec, batch: Batch): boolean {
  const { tokens } = batch;
  if (tokens < LEAST_EACH || spec.qkNorm === "projection") return false;
  const { headDim } = spec;
  const keys = furthestPosition(batch) + 1;
  return spec.attention.every(({ rope: { rotaryDim } }) =>
    fitsEach(gpu, { headDim, rotaryDim, keys })
  );
}

/** Textures for what goes into attention, where there is room for both. */
function roomForEach(
  { texels }: Gpu,
  spec: ModelSpec,
  { tokens }: Batch,
): { qkv: GPUTexture; q: GPUTexture } | undefined {
  const qkv = texels.acquire(4 * tokens * projectedWidth(spec));
  const q = qkv && texels.acquire(4 * tokens * spec.heads * spec.headDim);
  if (q) return { qkv, q };
  if (qkv) texels.release(qkv);
  return undefined;
}

/** Pairs (batch row, row in the cache) for the values; the keys find theirs in rope.wgsl by the same rule. */
function keyRows({ tokens, info }: Batch): Uint32Array<ArrayBuffer> {
  const pairs = new Uint32Array(2 * tokens);
  for (let t = 0; t < tokens; t++) {
    const [, prefixLength, ownStart, position] = info.subarray(4 * t, 4 * t + 4);
    pairs[2 * t] = t;
    pairs[2 * t + 1] = ownStart + position - prefixLength;
  }
  return pairs;
}

/** Token info for layers that the cache leaves out: there the batch must hold its sequences from their beginning. */
function freshInfo({ tokens, offsets, starts, info }: Batch): Uint32Array<ArrayBuffer> {
  const fresh = new Uint32Array(4 * tokens);
  starts.forEach((start, s) => {
    if (start > 0) {
      throw new UsageError(
        `Cannot continue sequence ${s}: the cache does not hold its first layers`,
      );
    }
    for (let t = offsets[s]; t < offsets[s + 1]; t++) {
      fresh.set([0, 0, offsets[s], info[4 * t + 3]], 4 * t);
    }
  });
  return fresh;
}
