/** The tunings that ship with the program: of the adapters that it was measured on. `deno task tune --out engine/tuning/shipped` makes them. */

import type { TuningProfile } from "./profile.ts";

/** The profiles; what was chosen for kernels that have changed since does not count. */
export const SHIPPED: readonly TuningProfile[] = [];
