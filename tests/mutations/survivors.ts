/** Bugs that the tests let pass, and why. */

/** A bug by its mutant's `file` and `what`. */
interface Survivor {
  file: string;
  what: string;
  reason: string;
}

const IN_TURN =
  "on CPU cores the lanes of a workgroup go on in order from barrier to barrier, so that this one is not needed there";
const CHECKED_AGAIN =
  "the same program: what is written is checked once more, and this return only saves work";

const survivors = (reason: string, ...list: [file: string, what: string][]): Survivor[] =>
  list.map(([file, what]) => ({ file: `shaders/${file}.wgsl`, what, reason }));

/** All that are known. */
export const SURVIVORS: readonly Survivor[] = [
  ...survivors(
    IN_TURN,
    ["attention_decode", "a barrier is dropped: workgroupBarrier();"],
    ["attention_decode", "a barrier is dropped: workgroupBarrier();, 2"],
    ["attention_decode_staged", "a barrier is dropped: workgroupBarrier();"],
    ["attention_decode_texel", "a barrier is dropped: workgroupBarrier();"],
    ["attention_decode_texel", "a barrier is dropped: workgroupBarrier();, 2"],
    ["few_rows", "a barrier is dropped: workgroupBarrier();"],
    ["few_rows", "a barrier is dropped: workgroupBarrier();, 2"],
    ["nucleus", "a barrier is dropped: workgroupBarrier();, 2"],
    ["rmsnorm_texel", "a barrier is dropped: workgroupBarrier();"],
    ["top_k", "a barrier is dropped: workgroupBarrier();"],
    ["turn_texel", "a barrier is dropped: workgroupBarrier();"],
  ),
  ...survivors(
    CHECKED_AGAIN,
    ["matmul", "one element too many: (row >= p.m), 2"],
    ["matmul_tiled", "one element too many: (row >= p.m)"],
    ["matmul_staged", "one element too many: (row >= p.m)"],
    ["matmul_blocked", "one element too many: (row >= p.m)"],
    ["matmul_split", "one element too many: (row >= p.m)"],
    ["matmul_half", "one element too many: (row >= p.m)"],
    ["matvec", "one element too many: (row >= p.m)"],
    ["matvec_subgroup", "one element too many: (row >= p.m)"],
    ["matvec_fused", "one element too many: (row >= p.m)"],
    ["many_rows", "one element too many: (row >= p.m), 2"],
  ),
  ...survivors(
    "the part that follows writes the one texel too many again, and after the last part it belongs to nobody",
    ["pack_texels", "one element too many: (i >= p.count)"],
  ),
  ...survivors(
    "the same program: the barrier of storage before it makes lanes wait too, and nothing goes through workgroup memory there",
    ["many_rows_norm", "a barrier is dropped: workgroupBarrier();"],
  ),
  ...survivors(
    "where a vector has sixteen threads they are the whole workgroup, and none waits for another; with vectors of eight the tests see it",
    ["many_rows_norm", "a barrier is dropped: workgroupBarrier();, 2"],
  ),
  ...survivors(
    "the same texels: an index past the list's end is clamped, so that a row is copied twice",
    ["key_texels", "one element too many: (i >= p.count * p.width)"],
    ["key_texels", "rows one element apart: * p.width"],
  ),
  ...survivors(
    "the same program: a texel holds eight weights, and k is divided by eight to find it",
    ["matmul_texel", "a loop begins one too late: for (var start = 0u;"],
  ),
  ...survivors(
    "the same program: r goes up by eights, and is divided by four or eight to find what is loaded at once",
    ["add_shares", "a loop begins one too late: for (var start = 0u;"],
  ),
];
