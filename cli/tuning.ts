/** Where tunings are kept, the user's own and those that ship with the program, and which of them counts. */

import { auditName } from "../engine/audit/names.ts";
import type { Gpu } from "../engine/gpu/gpu.ts";
import { Tuning } from "../engine/gpu/tuning.ts";
import { applicable, readProfile, whyNot } from "../engine/tuning/profile.ts";
import { SHIPPED } from "../engine/tuning/shipped.ts";
import { userCache } from "./user_cache.ts";

type Opened = Pick<Gpu, "adapter" | "backend">;

/** The folder of the user's own. */
export function ownTunings(): string {
  return userCache("tuning", "tunings");
}

/** The name of an adapter's file. */
export function tuningFile({ backend, adapter }: Opened): string {
  return `${auditName(backend, adapter)}.json`;
}

/**
 * What a device is to run by: the user's own profile, else one that ships, else nothing. A profile that cannot be used is
 * ignored with a word: results never depend on it.
 */
export async function knownTuning(
  gpu: Opened,
  warn: (line: string) => void,
  folder: () => string = ownTunings,
): Promise<Tuning> {
  const ignore = (path: string, why: string) =>
    warn(`Ignoring the tuning "${path}": ${why} (make it again with: deno task tune)`);
  let path = tuningFile(gpu);
  let text: string | undefined;
  try {
    path = `${folder()}/${path}`;
    text = await Deno.readTextFile(path);
  } catch (error) {
    // Without a cache, or a file in it, there is nothing to say.
    const none = error instanceof Deno.errors.NotFound || path === tuningFile(gpu);
    if (!none) ignore(path, whyNot(error));
  }
  if (text !== undefined) {
    try {
      const { tuning, ignored } = await applicable(gpu, readProfile(JSON.parse(text)));
      if (ignored) ignore(path, ignored);
      return tuning;
    } catch (error) {
      ignore(path, whyNot(error));
    }
  }
  const shipped = await Promise.all(SHIPPED.map((profile) => applicable(gpu, profile)));
  return shipped.find(({ tuning }) => Object.keys(tuning.choices).length > 0)?.tuning ??
    Tuning.none;
}
