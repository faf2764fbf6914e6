/** The peers' packages: installed into the user's cache, by the task that compares with them alone. */

import { userCache } from "../../cli/user_cache.ts";
import { sha256Of } from "../../lens/provenance.ts";

/** Prebuilt addons of node-llama-cpp, by platform; on others llama.cpp is left out. */
const LLAMA: Record<string, readonly string[]> = {
  "linux x86_64": ["@node-llama-cpp/linux-x64", "@node-llama-cpp/linux-x64-vulkan"],
};
const LLAMA_VERSION = "3.22.1";
const ORT_VERSION = "1.30.0";

/** Where the peers' files are. */
export interface Installed {
  /** onnxruntime-web's module, a URL. */
  ort: string;
  /** Folders of llama.cpp's addons; undefined where there is none for this platform. */
  llama?: { cpu: string; vulkan: string };
}

/** Installs what is not there yet; Deno downloads it, so the user's registry settings hold. */
export async function installPeers(): Promise<Installed> {
  const llama = LLAMA[`${Deno.build.os} ${Deno.build.arch}`];
  const dependencies = Object.fromEntries([
    ["onnxruntime-web", ORT_VERSION],
    ...(llama ?? []).map((name) => [name, LLAMA_VERSION]),
  ]);
  const manifest = JSON.stringify({ private: true, type: "module", dependencies });
  const name = `peers-${(await sha256Of(manifest)).slice(0, 8)}`;
  const folder = userCache(name, "llama.cpp and ONNX Runtime");
  const done = `${folder}/complete`;
  if (!await Deno.stat(done).catch(() => undefined)) {
    console.error(`Installing llama.cpp and ONNX Runtime into ${folder} (300 MB, once)`);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(`${folder}/package.json`, manifest);
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ nodeModulesDir: "auto" }));
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["install", "--quiet"],
      cwd: folder,
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    if (!success) {
      throw new Error("Cannot install the peers: deno install failed, as it says above");
    }
    await Deno.writeTextFile(done, "");
  }
  const modules = `${folder}/node_modules`;
  const addon = (name: string) => `${modules}/@node-llama-cpp/${name}/bins/${name}`;
  return {
    ort: `file://${modules}/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs`,
    llama: llama && { cpu: addon("linux-x64"), vulkan: addon("linux-x64-vulkan") },
  };
}
