import { assertEquals } from "@std/assert";
import { RunFolder } from "./run_folder.ts";
import { settledStep } from "./settled_step.ts";

Deno.test("a step is done once for its settings, and again for others or where its file is damaged", async () => {
  const path = await Deno.makeTempDir();
  try {
    let calls = 0;
    const step = async (strength: number) => {
      using folder = await RunFolder.open(path, { fingerprint: { run: 1 }, overwrite: false });
      return await settledStep(
        folder,
        { step: "steer_2_1", settings: { strength } },
        () => Promise.resolve({ strength, call: ++calls }),
      );
    };
    assertEquals(await step(1), { strength: 1, call: 1 });
    assertEquals(await step(1), { strength: 1, call: 1 });
    assertEquals(await step(2), { strength: 2, call: 2 });
    assertEquals(await step(2), { strength: 2, call: 2 });
    assertEquals(await step(1), { strength: 1, call: 3 });
    await Deno.writeTextFile(`${path}/steer_2_1.json`, "{}");
    assertEquals(await step(1), { strength: 1, call: 4 });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
