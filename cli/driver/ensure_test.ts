import { assertEquals, assertStringIncludes } from "@std/assert";

const here = (path: string) => new URL(path, import.meta.url).href;

/** Runs a module's code in a process of its own, which sees no Vulkan driver. */
async function run(code: string, variables: Record<string, string> = {}) {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, code);
    const { code: exit, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--unstable-webgpu", file, "a b", "ü"],
      env: {
        NO_COLOR: "1",
        VK_ICD_FILENAMES: "/nonexistent",
        VK_DRIVER_FILES: "/nonexistent",
        PALIMPSEST_SOFTWARE_DRIVER: "",
        ...variables,
      },
    }).output();
    const decoder = new TextDecoder();
    return { exit, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  } finally {
    await Deno.remove(file);
  }
}

const ENSURE = `import { ensureAdapter } from "${here("./ensure.ts")}";
  try { await ensureAdapter({ backend: "deno" }); console.log("adapter"); }
  catch (error) { console.log(error.name + ": " + error.message); }`;

Deno.test({
  name: "ensureAdapter() names the ways out when it may not fetch a driver",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const cache = await Deno.makeTempDir();
    const { out } = await run(ENSURE, { PALIMPSEST_NO_FETCH: "1", XDG_CACHE_HOME: cache });
    await Deno.remove(cache, { recursive: true });
    assertStringIncludes(out, "DeviceError: Cannot find a WebGPU adapter (backend deno)");
    assertStringIncludes(out, "apt-get install libvulkan1 mesa-vulkan-drivers");
    if (Deno.build.arch === "x86_64") assertStringIncludes(out, "unset PALIMPSEST_NO_FETCH");
  },
});

Deno.test({
  name: "ensureAdapter() does not restart for ever",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { out } = await run(ENSURE, { PALIMPSEST_SOFTWARE_DRIVER: "/a/driver" });
    assertStringIncludes(out, 'not even with the software driver in "/a/driver"');
  },
});

Deno.test({
  name: "ensureAdapter() says why the download failed",
  ignore: Deno.build.os !== "linux" || Deno.build.arch !== "x86_64",
  async fn() {
    const cache = await Deno.makeTempDir();
    // Nothing listens on this port.
    const registry = "http://127.0.0.1:9/";
    const { out, err } = await run(ENSURE, {
      XDG_CACHE_HOME: cache,
      NPM_CONFIG_REGISTRY: registry,
    });
    const left = [...Deno.readDirSync(`${cache}/palimpsest`)];
    await Deno.remove(cache, { recursive: true });
    assertStringIncludes(err, "No WebGPU adapter: fetching SwiftShader");
    assertStringIncludes(out, "nor fetch a software driver: Cannot download @sparticuz/chromium");
    assertStringIncludes(out, "127.0.0.1");
    assertStringIncludes(out, "apt-get install libvulkan1 mesa-vulkan-drivers");
    assertEquals(left, []);
  },
});

Deno.test({
  name: "restartSelf() keeps process, arguments and exit code, and sets the variables",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { exit, out } = await run(`
      if (Deno.env.get("AGAIN")) {
        console.log(Deno.env.get("AGAIN"), Deno.pid, JSON.stringify(Deno.args));
        Deno.exit(7);
      }
      console.log("first", Deno.pid);
      const { restartSelf } = await import("${here("./restart.ts")}");
      restartSelf({ AGAIN: "again" });`);
    const [first, pid] = out.trim().split(/[\n ]/).slice(0, 2);
    assertEquals([exit, first], [7, "first"]);
    assertEquals(out, `first ${pid}\nagain ${pid} ["a b","ü"]\n`);
  },
});
