/** Kernels with subgroups, on SwiftShader through Dawn: the one software adapter that has them. */

import { assert, assertEquals } from "@std/assert";
import { driverVariables } from "../../cli/driver/environment.ts";
import { driverFolder, installDriver, isSupported } from "../../cli/driver/swiftshader.ts";

Deno.test(
  "products by lanes of one subgroup are within their bound, and have the bits of the others",
  {
    ignore: !isSupported(),
  },
  async () => {
    const folder = driverFolder();
    await installDriver(folder);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `${import.meta.dirname}/subgroups_child.ts`],
      env: driverVariables(folder),
      // A kernel that never ends cannot be stopped from within.
      signal: AbortSignal.timeout(120_000),
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const found = JSON.parse(new TextDecoder().decode(stdout));
    assert(found.subgroupSize >= 4);
    assertEquals([found.shapes, found.kernels, found.faults], [4, ["matvec_subgroup"], []]);
  },
);
