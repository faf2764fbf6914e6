import { assertEquals } from "@std/assert";
import { driverVariables, prepareEnvironment } from "./environment.ts";

/** Runs `body` with these variables and no others of theirs, and puts back what was. */
function withVariables(variables: Record<string, string | undefined>, body: () => void): void {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  const put = (name: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  try {
    for (const [name, value] of Object.entries(variables)) put(name, value);
    body();
  } finally {
    for (const [name, value] of before) put(name, value);
  }
}

const NONE = {
  DENO_WEBGPU_BACKEND: undefined,
  XDG_RUNTIME_DIR: undefined,
  MESA_VK_DEVICE_SELECT: undefined,
  DRI_PRIME: undefined,
  NODEVICE_SELECT: undefined,
};

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
  name: "prepareEnvironment() leaves OpenGL out and Mesa's device layer silent",
  ignore: Deno.build.os !== "linux",
  fn() {
    withVariables(NONE, () => {
      prepareEnvironment();
      assertEquals(Deno.env.get("DENO_WEBGPU_BACKEND"), "vulkan");
      assertEquals(Deno.env.get("NODEVICE_SELECT"), "1");
    });
  },
});

Deno.test("prepareEnvironment() respects what the user has set", () => {
  withVariables({ ...NONE, DENO_WEBGPU_BACKEND: "gl", DRI_PRIME: "1" }, () => {
    prepareEnvironment();
    assertEquals(Deno.env.get("DENO_WEBGPU_BACKEND"), "gl");
    assertEquals(Deno.env.get("NODEVICE_SELECT"), undefined);
  });
});
