/** Bugs that the tests let pass, and why. */

/** `file` and `what` are the mutant's. */
export const SURVIVORS: readonly { file: string; what: string; reason: string }[] = [
  {
    file: "shaders/argmax.wgsl",
    what: "one element too many: (row >= params.rows)",
    reason:
      "up to 65,535 rows there is a workgroup for each and none over; `deno task audit` tries 65,537, which takes too long for a test",
  },
];
