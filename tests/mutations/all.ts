/** Every mutant there is, and samples of them. */

import { KERNEL_CASES } from "../../engine/audit/cases.ts";
import { Draw } from "../../engine/audit/inputs.ts";
import { hostMutants } from "./host.ts";
import { kernelMutants } from "./kernels.ts";
import { MUTATIONS } from "./list.ts";
import { methodMutants } from "./method.ts";
import { type Mutant, planted } from "./mutant.ts";
import { shaderMutants } from "./operators.ts";
import { passMutants } from "./passes.ts";

/** The root of the sources. */
export const ROOT = `${import.meta.dirname}/../..`;

/** Every mutant, those of each list in its order. */
export async function allMutants(): Promise<Mutant[]> {
  const ops = KERNEL_CASES.map(({ op }) => op);
  const architectures = MUTATIONS.map(({ what, file, find, replace, caughtBy }): Mutant => {
    const filter = `/^${caughtBy.replaceAll(".", "\\.")}/`;
    return { what, file, find, replace, tests: [{ files: ["tests/parity_test.ts"], filter }] };
  });
  const names = [...Deno.readDirSync(`${ROOT}/shaders`)].map(({ name }) => name).sort();
  const generated = await Promise.all(names.map(async (name) => {
    const file = `shaders/${name}`;
    return shaderMutants(file, await Deno.readTextFile(`${ROOT}/${file}`), ops);
  }));
  const byHand = [...kernelMutants(ops), ...passMutants(), ...hostMutants(), ...methodMutants()];
  return [...architectures, ...byHand, ...generated.flat()];
}

/** All of them with the bug planted; throws where one does not fit the sources any more. */
export async function plantedSources(mutants: readonly Mutant[]): Promise<string[]> {
  const sources = new Map<string, string>();
  for (const { file } of mutants) {
    if (!sources.has(file)) sources.set(file, await Deno.readTextFile(`${ROOT}/${file}`));
  }
  return mutants.map((mutant) => planted(sources.get(mutant.file)!, mutant));
}

/** `count` of them, the same for one seed. */
export function sampleOf<T>(all: readonly T[], count: number, seed: number): T[] {
  const draw = new Draw("normal", seed);
  const left = [...all];
  return Array.from(
    { length: Math.min(count, all.length) },
    () => left.splice(draw.below(left.length), 1)[0],
  );
}
