/** What agents may be shown of an organism, and the models behind it. Nothing here needs a device. */

import type { LayerReadout, LogitLensReadout, PatchscopeReadout } from "../readout.ts";
import type { Steering } from "../run_steer.ts";
import type { PromptSamples } from "../steering/steer.ts";
import type { LogitDifference } from "./results.ts";

/** The readouts of δ at one position. */
export interface PositionEvidence {
  position: number;
  logitLens: LogitLensReadout;
  patchscope: PatchscopeReadout;
}

/** Texts that the finetuned model wrote, with δ of one position added and without. */
export interface SteeringEvidence {
  position: number;
  samples: PromptSamples[];
}

/** Everything; each agent sees a part of it. */
export interface Evidence {
  positions: readonly PositionEvidence[];
  steering: readonly SteeringEvidence[];
  logitDifference: LogitDifference;
}

/** The two models, to be talked to. */
export interface AskedModels {
  /**
   * Both models' answers to each prompt.
   *
   * @param draw tells draws apart: the same draw of the same prompt brings the same answer
   */
  ask(prompts: readonly string[], draw: Draw): Promise<{ base: string; finetuned: string }[]>;
  /** Answers of the finetuned model to one prompt, steered with δ of a position that {@link Evidence.steering} has. */
  steer(
    prompt: string,
    options: { position: number; samples: number },
    draw: Draw,
  ): Promise<string[]>;
}

/** Which random numbers a text is drawn from. */
export interface Draw {
  seed: number;
  /** Of the first text; the others follow. */
  stream: number;
}

/** The evidence of finished results. Positions at which nothing was read (identical models) are left out. */
export function evidenceOf(
  readout: Pick<LayerReadout, "positions">,
  steering: readonly Pick<Steering, "position" | "samples">[],
  logitDifference: LogitDifference,
): Evidence {
  return {
    positions: readout.positions.filter(({ logit_lens }) => logit_lens.difference).map((at) => ({
      position: at.position,
      logitLens: at.logit_lens.difference,
      patchscope: at.patchscope.difference,
    })),
    steering: steering.map(({ position, samples }) => ({
      position,
      samples: samples.map(({ prompt, steered, unsteered }) => ({ prompt, steered, unsteered })),
    })),
    logitDifference,
  };
}
