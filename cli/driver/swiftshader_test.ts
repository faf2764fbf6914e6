import { Buffer } from "node:buffer";
import { brotliCompressSync } from "node:zlib";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { DeviceError } from "../../engine/errors.ts";
import { reason } from "./download.ts";
import { driverFolder, installDriver, isInstalled, isSupported } from "./swiftshader.ts";
import { type FixtureFile, makeTar } from "./tar_fixture.ts";

const FILES = ["libvulkan.so.1", "libvk_swiftshader.so", "vk_swiftshader_icd.json", "libEGL.so"]
  .map((name, i) => ({ name, data: new Uint8Array([i + 1]) }));

async function archiveOf(files: readonly FixtureFile[]) {
  const archive = new Uint8Array(brotliCompressSync(Buffer.from(makeTar(files))));
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", archive)).toHex();
  return { download: () => Promise.resolve(archive), sha256 };
}

async function inFolder(body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();

Deno.test("driverFolder() lies in the user's cache", () => {
  const env = (variables: Record<string, string>) => (name: string) => variables[name];
  assertStringIncludes(driverFolder(env({ HOME: "/h" })), "/h/.cache/palimpsest/swiftshader-");
  const xdg = { HOME: "/h", XDG_CACHE_HOME: "/x" };
  assertStringIncludes(driverFolder(env(xdg)), "/x/palimpsest/swiftshader-");
  const relative = { HOME: "/h", XDG_CACHE_HOME: "x" };
  assertStringIncludes(driverFolder(env(relative)), "/h/.cache/");
  assertThrows(() => driverFolder(env({})), DeviceError, "neither HOME nor XDG_CACHE_HOME");
});

Deno.test("isSupported() knows what the package was built for", () => {
  assert(isSupported({ os: "linux", arch: "x86_64" }));
  assert(!isSupported({ os: "linux", arch: "aarch64" }));
  assert(!isSupported({ os: "darwin", arch: "x86_64" }));
});

Deno.test("installDriver() keeps the Vulkan driver and nothing else", async () => {
  await inFolder(async (root) => {
    const folder = `${root}/cache/palimpsest/driver`;
    await installDriver(folder, await archiveOf(FILES));
    assert(isInstalled(folder));
    assertEquals(names(folder), FILES.slice(0, 3).map((file) => file.name).sort());
    assertEquals([...await Deno.readFile(`${folder}/libvk_swiftshader.so`)], [2]);
    assertEquals(names(`${root}/cache/palimpsest`), ["driver"]);
    const never = { download: () => Promise.reject(new Error("downloaded again")) };
    await installDriver(folder, never);
  });
});

Deno.test("installDriver() bears two processes at once, and mends a damaged folder", async () => {
  await inFolder(async (root) => {
    const folder = `${root}/driver`;
    const archive = await archiveOf(FILES);
    await Promise.all([1, 2, 3].map(() => installDriver(folder, archive)));
    assertEquals(names(root), ["driver"]);
    await Deno.remove(`${folder}/libvulkan.so.1`);
    assert(!isInstalled(folder));
    await installDriver(folder, archive);
    assert(isInstalled(folder));
  });
});

Deno.test("installDriver() refuses an archive that is not the pinned one", async () => {
  await inFolder(async (root) => {
    const { download } = await archiveOf(FILES);
    const install = () => installDriver(`${root}/driver`, { download });
    await assertRejects(install, DeviceError, "Cannot use the downloaded driver: its SHA-256 is");
    const short = await archiveOf(FILES.slice(1));
    const lacking = () => installDriver(`${root}/driver`, short);
    await assertRejects(lacking, DeviceError, "it lacks libvulkan.so.1");
    assertEquals(names(root), []);
  });
});

Deno.test("installDriver() says why the folder cannot be written", async () => {
  await inFolder(async (root) => {
    await Deno.writeTextFile(`${root}/file`, "");
    const install = () => installDriver(`${root}/file/driver`);
    await assertRejects(
      install,
      DeviceError,
      `Cannot put a software driver into "${root}/file/driver"`,
    );
  });
});

Deno.test("reason() finds the line that says what went wrong", () => {
  assertEquals(reason("Download x\nerror: Not found.\n\nStack backtrace:\n 0: x"), "Not found");
  assertEquals(reason("odd\n"), "odd");
  assertStringIncludes(reason(""), "no reason given");
});
