/** Bugs that no test can see, and why; `what` is the beginning of the mutant's. */
export const SURVIVORS: readonly { file: string; what: string; reason: string }[] = [];
