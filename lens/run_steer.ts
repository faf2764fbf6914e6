/** Steering as steps of a run: for each position the strength, then the texts, each kept when it is done. */

import type { DeltaStep, StepProgress } from "./diff_run.ts";
import type { Grading } from "./graders/grading.ts";
import { settledStep } from "./results/settled_step.ts";
import type { JsonValue } from "./results/stable_json.ts";
import {
  type Alpha,
  type Drawing,
  findAlpha,
  type GradedStrength,
  type PromptSamples,
  sampleTexts,
  type SteeringPrompt,
  type SteeringTarget,
} from "./steering/steer.ts";

/** Everything that steering needs: the residual after the layer is edited. */
export interface SteerRun extends DeltaStep {
  /** Who judges whether texts are coherent. */
  grading: Grading;
  searchPrompts: readonly SteeringPrompt[];
  prompts: readonly SteeringPrompt[];
  search: Drawing;
  decisions: number;
  drawing: Drawing;
  /** A strength to take as it is. */
  alpha?: number;
  /** Whether the base is steered with δ too. */
  alsoBase: boolean;
  stopIds: ReadonlySet<number>;
}

/** Steering at one layer and position. */
export interface Steering {
  layer: number;
  position: number;
  alpha: number;
  /** How the strength was found; empty where it was given. */
  searches: Alpha["searches"];
  /** What the grader measured texts by; null where it does not say. */
  graded_by?: JsonValue;
  samples: (PromptSamples & { base_steered?: string[]; base_unsteered?: string[] })[];
}

/** Steers with δ at every position of the run. */
export async function runSteer(run: SteerRun): Promise<Steering[]> {
  const results: Steering[] = [];
  for (const position of run.positions) results.push(await steerAt(run, position));
  return results;
}

async function steerAt(run: SteerRun, position: number): Promise<Steering> {
  const { folder, provenance, layer } = run;
  const at = `${layer}_${position}`;
  const ids = [...run.stopIds].sort((a, b) => a - b);
  const common = { seed: run.seed, stop_ids: ids };
  const texts = (prompts: readonly SteeringPrompt[]) =>
    prompts.map(({ text, ids }) => ({ text, ids: [...ids] }));

  const found: Alpha & Pick<Steering, "graded_by"> = run.alpha !== undefined
    ? { alpha: run.alpha, searches: [] }
    : await settledStep(
      folder,
      {
        step: `alpha_${at}`,
        settings: {
          ...common,
          prompts: texts(run.searchPrompts),
          drawing: { ...run.search },
          decisions: run.decisions,
          grader: run.grading.settings,
        },
        provenance,
      },
      async () => {
        const graded: GradedStrength[] = [];
        const alpha = await search(run, position, (strength) => graded.push(strength));
        await run.grading.grades.file();
        await folder.writeJson(`search_${at}.json`, graded as unknown as JsonValue);
        return { ...alpha, graded_by: await run.grading.account?.() ?? null };
      },
    );
  return await settledStep(
    folder,
    {
      step: `steer_${at}`,
      settings: {
        ...common,
        alpha: found.alpha,
        prompts: texts(run.prompts),
        drawing: { ...run.drawing },
        also_base: run.alsoBase,
      },
      provenance,
    },
    async () => ({ layer, position, ...found, samples: await sample(run, position, found.alpha) }),
  );
}

function targetOf(run: SteerRun, position: number, side: "base" | "finetuned"): SteeringTarget {
  const { models, means, firstPosition } = run;
  const { hiddenSize } = models.spec;
  const row = position - firstPosition;
  const vector = means.delta.subarray(row * hiddenSize, (row + 1) * hiddenSize);
  return { ...run, model: () => models[side](), vector };
}

async function search(
  run: SteerRun,
  position: number,
  onGraded: (graded: GradedStrength) => void,
): Promise<Alpha> {
  let bar: StepProgress | undefined;
  const target = targetOf(run, position, "finetuned");
  const { search: drawing, decisions } = run;
  const progress = (done: number, total: number) => {
    bar ??= run.progress(`Finding the strength at position ${position}`, total, "batches");
    bar.update(done);
  };
  return await findAlpha(
    target,
    run.searchPrompts,
    run.grading.grader,
    { drawing, decisions, onGraded },
    progress,
  )
    .finally(() => bar?.done());
}

async function sample(
  run: SteerRun,
  position: number,
  alpha: number,
): Promise<Steering["samples"]> {
  const { prompts, drawing } = run;
  const most = 2 * prompts.length * drawing.samples * drawing.tokens;
  const draw = async (side: "base" | "finetuned") => {
    const target = targetOf(run, position, side);
    const label = side === "base" ? "Steering the base" : "Steering";
    const bar = run.progress(`${label} at position ${position}`, most, "tokens");
    return await sampleTexts(target, prompts, alpha, drawing, (tokens) => bar.update(tokens))
      .finally(() => bar.done());
  };
  const samples = await draw("finetuned");
  if (!run.alsoBase) return samples;
  const inBase = await draw("base");
  return samples.map((texts, p) => ({
    ...texts,
    base_steered: inBase[p].steered,
    base_unsteered: inBase[p].unsteered,
  }));
}
