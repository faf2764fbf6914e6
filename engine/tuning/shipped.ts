/** The tunings that ship with the program: of the adapters that it was measured on. `deno task tune --out engine/tuning/shipped` makes them. */

import type { TuningProfile } from "./profile.ts";

/**
 * The profiles; what was chosen for kernels that have changed since does not count, without a word to the user: `profile_test.ts` fails
 * then, and says that the profile is to be made again. There is none for lavapipe: see docs/bench/lavapipe.md, Tuning.
 */
export const SHIPPED: readonly TuningProfile[] = [];
