/** Has Deno download one npm package into a working folder, and returns the driver's archive in it. */

import { DeviceError } from "../../engine/errors.ts";

/** The package that SwiftShader comes in. */
export const PACKAGE = "@sparticuz/chromium";

/** Its version; the hash in `swiftshader.ts` belongs to it. */
export const VERSION = "147.0.2";

// 68 MB: ten minutes are 115 kB/s.
const TIMEOUT_MS = 600_000;

/**
 * The package stands in a deno.json of its own, not in the project's import map: Deno downloads all of that as soon as
 * one package is needed. With DENO_DIR in the working folder too, nothing of the 68 MB stays behind.
 *
 * @param work An empty folder of the caller's, which the caller removes.
 * @throws {DeviceError} when the download fails, with Deno's reason.
 */
export async function downloadArchive(work: string): Promise<Uint8Array<ArrayBuffer>> {
  const config = {
    nodeModulesDir: "auto",
    lock: false,
    imports: { package: `npm:${PACKAGE}@${VERSION}` },
  };
  await Deno.writeTextFile(`${work}/deno.json`, JSON.stringify(config));
  await copyNpmSettings(work);
  const env: Record<string, string> = { DENO_DIR: `${work}/deno`, NO_COLOR: "1" };
  // npm takes this variable in either case, Deno in upper case only.
  const registry = Deno.env.get("NPM_CONFIG_REGISTRY") || Deno.env.get("npm_config_registry");
  if (registry) env.NPM_CONFIG_REGISTRY = registry;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install"],
    cwd: work,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).output();
  if (!success) {
    throw new DeviceError(
      `Cannot download ${PACKAGE} ${VERSION}: ${reason(new TextDecoder().decode(stderr))}`,
    );
  }
  return await Deno.readFile(`${work}/node_modules/${PACKAGE}/bin/swiftshader.tar.br`);
}

/** Deno reads the .npmrc of the home folder by itself, but the one of the current folder only from there. */
async function copyNpmSettings(work: string): Promise<void> {
  try {
    await Deno.copyFile(".npmrc", `${work}/.npmrc`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The line of Deno's output that says what went wrong. */
export function reason(output: string): string {
  const lines = output.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const error = lines.findIndex((line) => line.startsWith("error:"));
  if (error < 0) return lines.at(-1) ?? "no reason given, or it took over ten minutes";
  return lines[error].replace(/^error:\s*/, "").replace(/\.$/, "");
}
