/** The invariance tests for the architectures that the quick tests leave out. */

import { FIXTURE_MODELS, fixtureModel } from "../helpers.ts";
import { invarianceTests } from "../invariance_suite.ts";

for (const name of FIXTURE_MODELS) {
  if (["llama3_tied", "gemma2"].includes(name)) continue; // in ../invariance_test.ts
  invarianceTests(name, (gpu) => fixtureModel(gpu, name), 70);
}
