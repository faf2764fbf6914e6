/**
 * By which model's measure a finetuned model's texts are coherent.
 *
 * It is the base's, as long as that accepts what the finetuned model writes unsteered: only then does a text that it rejects
 * say anything of the steering. A finetune whose topic is foreign to the base fails this. All that it writes is then beyond the
 * base's range, and no strength would pass; its own losses and its own unsteered texts are the measure instead.
 */

import type { ModelPair } from "../../models/model_shelf.ts";
import {
  calibrate,
  type Calibration,
  measureTexts,
  rangeOf,
  writeUnsteered,
} from "./calibration.ts";
import type { CoherenceRange } from "./coherence.ts";

/**
 * The share of the finetuned model's unsteered texts that the base must accept. It is the share of a strength's texts that must be
 * coherent for the strength to pass (METHOD 3), so with less not even strength 0 would.
 */
const ACCEPTED_SHARE = 0.75;

/** A measure of coherence. */
export interface Yardstick {
  /** Whose losses are taken. */
  model: "base" | "finetuned";
  /** That model's range. */
  range: CoherenceRange;
  /** The share of the finetuned model's unsteered texts that are within the base's range. */
  accepted: number;
}

/** Finds the measure; both models write. Errors are those of {@link calibrate}. */
export async function chooseYardstick(
  models: Pick<ModelPair, "base" | "finetuned">,
  calibration: Calibration,
): Promise<Yardstick> {
  const { signal } = calibration;
  const written = await writeUnsteered(await models.finetuned(), calibration);
  const base = await models.base();
  const range = await calibrate(base, calibration);
  const verdicts = (await measureTexts(base, written, signal)).map((text) => range.judge(text));
  const accepted = verdicts.filter(({ coherent }) => coherent).length / verdicts.length;
  if (accepted >= ACCEPTED_SHARE) return { model: "base", range, accepted };
  const own = rangeOf(await measureTexts(await models.finetuned(), written, signal));
  return { model: "finetuned", range: own, accepted };
}
