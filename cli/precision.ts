/** Fast mode on the command line: what it costs is measured at the start, printed, and kept for the manifest. */

import type { Gpu } from "../engine/gpu/gpu.ts";
import { type PrecisionError, precisionError } from "../lens/precision.ts";
import type { ModelPair } from "../models/model_shelf.ts";
import type { JsonValue } from "../lens/results/stable_json.ts";

const measured = new WeakMap<Gpu, PrecisionError>();

/** Arguments are those of {@link precisionError}. Does nothing in f32, or where it was measured on this device before. */
export async function measurePrecision(
  gpu: Gpu,
  ...[models, sequences, at]: Parameters<typeof precisionError>
): Promise<void> {
  if (gpu.precision === "f32" || measured.has(gpu)) return;
  const found = await precisionError(models, sequences, at);
  measured.set(gpu, found);
  const error = (value: number) => value.toExponential(1);
  const each = Object.entries(found.models).map(([name, value]) => `${error(value)} (${name})`);
  if (found.delta) each.push(`${error(found.delta)} (their mean difference)`);
  console.error(
    `Fast mode: on ${found.tokens} tokens ${found.hook} is off from f32 by ${
      each.join(", ")
    }, relative L2. ${howFast(gpu)}`,
  );
}

/** What a user may expect of the speed. */
function howFast({ matrices, backend }: Gpu): string {
  if (matrices) {
    const { m, n, k } = matrices;
    return `Products go through the adapter's matrix unit ([${m}, ${k}] · [${k}, ${n}])`;
  }
  const hint = backend === "deno" ? "; if the GPU has one, --backend dawn may find it" : "";
  return `Without a matrix unit products may take as long as in f32, or longer${hint}`;
}

/** A pair's models, by name. */
export function bothOf({ base, finetuned }: ModelPair): Parameters<typeof precisionError>[0] {
  return { base, finetuned };
}

/** What of the precision belongs into a run's fingerprint: nothing for f32, so that what was begun before goes on. */
export function precisionSetting({ precision }: { precision?: string }): { precision?: "fast" } {
  return precision === "fast" ? { precision } : {};
}

/** What manifests and `--json` say of it. */
export function precisionJson(gpu: Gpu): { precision?: JsonValue } {
  if (gpu.precision === "f32") return {};
  const error = measured.get(gpu) ?? null;
  return { precision: { mode: gpu.precision, error: error as unknown as JsonValue } };
}
