import { assert, assertEquals } from "@std/assert";
import { withFolder } from "../../tests/cli/cli_helpers.ts";
import { driverVariables, prepareEnvironment } from "./environment.ts";

Deno.test("driverVariables() point to the driver and keep the user's libraries", () => {
  assertEquals(driverVariables("/c/d", ""), {
    PALIMPSEST_SOFTWARE_DRIVER: "/c/d",
    LD_LIBRARY_PATH: "/c/d",
    VK_ICD_FILENAMES: "/c/d/vk_swiftshader_icd.json",
    VK_DRIVER_FILES: "/c/d/vk_swiftshader_icd.json",
  });
  assertEquals(driverVariables("/c/d", "/opt/lib").LD_LIBRARY_PATH, "/c/d:/opt/lib");
});

Deno.test({
  name: "prepareEnvironment() leaves OpenGL out, Mesa's device layer silent, and few cores busy",
  ignore: Deno.build.os !== "linux",
  fn() {
    const prepared = (cores: number) => {
      const env = new Map<string, string>();
      prepareEnvironment(env, { cores, cpus: "" });
      return [...env];
    };
    const always = [["DENO_WEBGPU_BACKEND", "vulkan"], ["NODEVICE_SELECT", "1"]];
    assertEquals(prepared(8), always);
    assertEquals(prepared(2), [...always, ["LP_NUM_THREADS", "4"]]);
  },
});

Deno.test({
  name:
    "prepareEnvironment() has vectors of 512 bits used where there are some, and their code kept apart",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withFolder((folder) => {
      const prepared = (flags: string, set: Record<string, string>) => {
        const env = new Map(Object.entries(set));
        const cpu = `processor\t: 0\nflags\t\t: ${flags}\n`;
        prepareEnvironment(env, { cores: 8, cpus: `${cpu}\n${cpu}` });
        return [env.get("LP_NATIVE_VECTOR_WIDTH"), env.get("MESA_SHADER_CACHE_DIR")];
      };
      const wide = "fpu avx2 avx512f avx512dq avx512bw avx512vl";
      const none = [undefined, undefined];
      const HOME = `${folder}/home`;
      const cache = `${HOME}/.cache/palimpsest/mesa-512`;
      assertEquals(prepared(wide, { HOME }), ["512", cache]);
      assert(Deno.statSync(cache).isDirectory, "Mesa makes no folders above its own");
      assertEquals(prepared(wide, { MESA_SHADER_CACHE_DIR: "/c" }), ["512", "/c"]);
      assertEquals(prepared(wide, { HOME, LP_NATIVE_VECTOR_WIDTH: "128" }), ["128", undefined]);
      assertEquals(prepared("fpu avx2 avx512f avx512dq avx512bw", { HOME }), none);
      assertEquals(prepared("", { HOME }), none);
      assertEquals(prepared(wide, {}), none, "there is no cache");
      Deno.writeTextFileSync(`${folder}/file`, "");
      assertEquals(prepared(wide, { HOME: `${folder}/file` }), none, "it cannot be made");
      return Promise.resolve();
    }),
});

Deno.test("prepareEnvironment() respects what the user has set", () => {
  const env = new Map([
    ["DENO_WEBGPU_BACKEND", "gl"],
    ["DRI_PRIME", "1"],
    ["LP_NUM_THREADS", "1"],
    ["LP_NATIVE_VECTOR_WIDTH", "256"],
  ]);
  const before = new Map(env);
  prepareEnvironment(env, { cores: 2, cpus: "flags : avx512f avx512bw avx512dq avx512vl" });
  assertEquals(env, before);
});
