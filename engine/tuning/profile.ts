/** A tuning as it is kept: what was chosen, and on what it was measured. */

import attention from "../../shaders/attention.wgsl" with { type: "text" };
import attentionTexel from "../../shaders/attention_texel.wgsl" with { type: "text" };
import attentionTiled from "../../shaders/attention_tiled.wgsl" with { type: "text" };
import attentionWorkgroup from "../../shaders/attention_workgroup.wgsl" with { type: "text" };
import kthLargest from "../../shaders/kth_largest.wgsl" with { type: "text" };
import fewRows from "../../shaders/few_rows.wgsl" with { type: "text" };
import matmul from "../../shaders/matmul.wgsl" with { type: "text" };
import matmulBlocked from "../../shaders/matmul_blocked.wgsl" with { type: "text" };
import matmulSplit from "../../shaders/matmul_split.wgsl" with { type: "text" };
import matmulTexel from "../../shaders/matmul_texel.wgsl" with { type: "text" };
import matmulStaged from "../../shaders/matmul_staged.wgsl" with { type: "text" };
import matmulTiled from "../../shaders/matmul_tiled.wgsl" with { type: "text" };
import matvec from "../../shaders/matvec.wgsl" with { type: "text" };
import matvecFused from "../../shaders/matvec_fused.wgsl" with { type: "text" };
import matvecSubgroup from "../../shaders/matvec_subgroup.wgsl" with { type: "text" };
import rmsnorm from "../../shaders/rmsnorm.wgsl" with { type: "text" };
import rmsnormVec4 from "../../shaders/rmsnorm_vec4.wgsl" with { type: "text" };
import softmax from "../../shaders/softmax.wgsl" with { type: "text" };
import { z } from "zod";
import { sha256OfText } from "../audit/document.ts";
import { PalimpsestError, UsageError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { adapterName } from "../gpu/profile.ts";
import { type Choices, type KnobName, KNOBS, Tuning } from "../gpu/tuning.ts";
import { parseSchema } from "../schema.ts";

/** The kernels that a knob's choices are among. */
type Tuned = typeof KNOBS[KnobName]["kernels"][number];

const SOURCES: Readonly<Record<Tuned, string>> = {
  attention,
  attention_texel: attentionTexel,
  attention_tiled: attentionTiled,
  attention_workgroup: attentionWorkgroup,
  few_rows: fewRows,
  kth_largest: kthLargest,
  matmul,
  matmul_blocked: matmulBlocked,
  matmul_split: matmulSplit,
  matmul_staged: matmulStaged,
  matmul_texel: matmulTexel,
  matmul_tiled: matmulTiled,
  matvec,
  matvec_fused: matvecFused,
  matvec_subgroup: matvecSubgroup,
  rmsnorm,
  rmsnorm_vec4: rmsnormVec4,
  softmax,
};

const TEXT = z.string("expected a text");
const SCHEMA = z.object({
  format: z.literal(1, "expected 1"),
  backend: TEXT,
  adapter: TEXT,
  date: TEXT,
  shaders: z.record(TEXT, TEXT),
  choices: z.record(TEXT, TEXT),
});

/** What was chosen on an adapter; `shaders` are the SHA-256 of the kernels' sources then. */
export type TuningProfile = z.infer<typeof SCHEMA>;

/**
 * A profile from what a file holds, which may be anything.
 *
 * @throws {UsageError} that says what it does wrong
 */
export function readProfile(value: unknown): TuningProfile {
  const profile = parseSchema(SCHEMA, value, (problem) => new UsageError(`it ${problem}`));
  new Tuning(profile.choices); // refuses what cannot be chosen
  return profile;
}

/** The hashes of the kernels that tuning decides about, as they are now. */
export async function shaderHashes(): Promise<Record<string, string>> {
  const entries = Object.entries(SOURCES).map(async ([name, code]) =>
    [name, await sha256OfText(code)] as const
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** The choices of a profile that count on a device, and a sentence on those that do not. */
export async function applicable(
  gpu: Pick<Gpu, "adapter" | "backend">,
  profile: TuningProfile,
): Promise<{ tuning: Tuning; ignored?: string }> {
  const adapter = adapterName(gpu.adapter);
  if (profile.backend !== gpu.backend || profile.adapter !== adapter) {
    const other = `${profile.adapter}, ${profile.backend}`;
    return { tuning: Tuning.none, ignored: `it is of another adapter (${other.slice(0, 120)})` };
  }
  const now = await shaderHashes();
  const changed = (knob: KnobName) =>
    KNOBS[knob].kernels.some((kernel) => profile.shaders[kernel] !== now[kernel]);
  const stale = (Object.keys(KNOBS) as KnobName[]).filter(changed);
  const of = (key: string) => key.split("/")[0] as KnobName;
  const kept = Object.entries(profile.choices).filter(([key]) => !stale.includes(of(key)));
  const lost = stale.filter((knob) => Object.keys(profile.choices).some((key) => of(key) === knob));
  return {
    tuning: new Tuning(Object.fromEntries(kept) as Choices),
    ...(lost.length > 0 && {
      ignored: `shaders have changed since, of which it says ${lost.join(", ")}`,
    }),
  };
}

/** Why a profile cannot be used, for a warning. */
export function whyNot(error: unknown): string {
  if (error instanceof SyntaxError) return "it is not JSON";
  return error instanceof PalimpsestError ? error.message : String(error);
}
