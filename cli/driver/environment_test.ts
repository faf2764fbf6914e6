import { assertEquals } from "@std/assert";
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
      prepareEnvironment(env, cores);
      return [...env];
    };
    const always = [["DENO_WEBGPU_BACKEND", "vulkan"], ["NODEVICE_SELECT", "1"]];
    assertEquals(prepared(8), always);
    assertEquals(prepared(2), [...always, ["LP_NUM_THREADS", "4"]]);
  },
});

Deno.test("prepareEnvironment() respects what the user has set", () => {
  const env = new Map([
    ["DENO_WEBGPU_BACKEND", "gl"],
    ["DRI_PRIME", "1"],
    ["LP_NUM_THREADS", "1"],
  ]);
  const before = new Map(env);
  prepareEnvironment(env, 2);
  assertEquals(env, before);
});
