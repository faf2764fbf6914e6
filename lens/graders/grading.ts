/** Who grades in a run. */

import type { JsonValue } from "../results/stable_json.ts";
import type { Grader } from "./grader.ts";
import type { KeptGrades } from "./kept_grades.ts";

/** A grader, and what its grades are kept with. */
export interface Grading {
  grader: Grader;
  /** All that a grade depends on. */
  settings: Record<string, JsonValue>;
  /** Where the answers of a grader that asks someone are kept; to be filed before the step that asked is finished. */
  grades: KeptGrades;
  /** What texts were measured by, once they were; absent where the grader has no measure. */
  account?: () => Promise<JsonValue>;
}
