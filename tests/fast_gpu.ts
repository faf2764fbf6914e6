/** What tests of fast mode need: whether the adapter has f16, and a device that was opened for it. */

import { chooseAdapter } from "../engine/gpu/backend.ts";
import { Gpu } from "../engine/gpu/gpu.ts";
import type { DeviceProfile } from "../engine/gpu/profile.ts";
import { BACKEND } from "./test_gpu.ts";

/** Whether the adapter of the tests has what fast mode needs. Tests of it are marked as ignored where it has not. */
const { adapter } = await chooseAdapter(BACKEND, { both: true });
export const HAS_HALF = adapter.features.has("shader-f16");

/** A device that can do both; it begins with f32 as every other. Where there is no f16, one for f32 alone. */
export function openBoth(profile?: DeviceProfile): Promise<Gpu> {
  return Gpu.open({ profile, backend: BACKEND, both: true });
}
