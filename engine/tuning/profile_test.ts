import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../errors.ts";
import { adapterName } from "../gpu/profile.ts";
import { KNOBS } from "../gpu/tuning.ts";
import { applicable, readProfile, shaderHashes, type TuningProfile } from "./profile.ts";
import { SHIPPED } from "./shipped.ts";

const adapter = { vendor: "", architecture: "", device: "", description: "a GPU", software: false };
const GPU = { backend: "deno" as const, adapter };

async function profile(): Promise<TuningProfile> {
  return {
    format: 1,
    backend: "deno",
    adapter: "a GPU",
    date: "2026-11-25",
    shaders: await shaderHashes(),
    choices: { "matmul/16/max": "tile 32", "long_row/max": "64" },
  };
}

Deno.test("a profile counts on its own adapter and with its own shaders", async () => {
  const good = await profile();
  const { tuning, ignored } = await applicable(GPU, readProfile(good));
  assertEquals([tuning.choices, ignored], [good.choices, undefined]);
  const others = [{ ...good, adapter: "another" }, { ...good, backend: "dawn" }];
  for (const other of others) {
    const found = await applicable(GPU, other);
    assertEquals(found.tuning.choices, {});
    assertEquals(found.ignored, `it is of another adapter (${other.adapter}, ${other.backend})`);
  }
});

Deno.test("what is said of kernels that have changed since does not count, the rest does", async () => {
  const good = await profile();
  const changed = { ...good, shaders: { ...good.shaders, matmul_tiled: "00" } };
  const { tuning, ignored } = await applicable(GPU, changed);
  assertEquals(tuning.choices, { "long_row/max": "64" });
  assertEquals(ignored, "shaders have changed since, of which it says matmul");
});

Deno.test("a profile has the hash of every kernel that some choice is among", async () => {
  const hashes = await shaderHashes();
  const named = new Set(Object.values(KNOBS).flatMap(({ kernels }) => kernels));
  assertEquals(Object.keys(hashes).sort(), [...named].sort());
});

Deno.test("what is no profile is refused, with what is wrong", async () => {
  const good = await profile();
  for (
    const [value, why] of [
      [null, "it is null"],
      [[], "it "],
      [{ ...good, format: 2 }, "it has format 2, expected 1"],
      [{ ...good, choices: "rows 8" }, "it has choices"],
      [{ ...good, choices: { "matmul/16/max": 8 } }, "expected a text"],
      [{ ...good, choices: { "matmul/16/max": "rows 3" } }, "choices are rows 1"],
      [{ ...good, choices: { "../x": "rows 8" } }, "no such size"],
    ] as const
  ) assertThrows(() => readProfile(value), UsageError, why);
});

/** Says of a profile that ships which choices no longer count on its own adapter. */
async function outdated(one: TuningProfile): Promise<string | undefined> {
  const own = { backend: one.backend as "deno", adapter: { ...adapter, description: one.adapter } };
  const { ignored } = await applicable(own, one);
  return ignored && `${one.adapter}: ${ignored}; make it again with: deno task tune --out DIR`;
}

Deno.test("what ships is of the kernels as they are, as far as it says something of them", async () => {
  const good = await profile();
  const changed = (kernel: string) => ({
    ...good,
    shaders: { ...good.shaders, [kernel]: "00" },
  });
  // It chooses for products and long rows only.
  assertEquals(await outdated(changed("attention_texel")), undefined);
  assertStringIncludes(await outdated(changed("softmax")) ?? "", "it says long_row; make it again");
  for (const one of SHIPPED) assertEquals(await outdated(one), undefined);
});

Deno.test("what ships can be used: each on an adapter of its own", () => {
  for (const one of SHIPPED) readProfile(one);
  const names = SHIPPED.map(({ backend, adapter }) => `${backend} ${adapter}`);
  assertEquals(new Set(names).size, names.length);
  assertEquals(adapterName(adapter), "a GPU");
});
