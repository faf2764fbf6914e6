/** A headless Chromium for tests of pages: the machine's own, driven by playwright-core. */

import { type Browser, chromium } from "playwright-core";

const USUAL = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The executable: `PALIMPSEST_CHROMIUM`, or where it usually is. */
async function executable(): Promise<string> {
  const named = Deno.env.get("PALIMPSEST_CHROMIUM");
  for (const path of named ? [named] : USUAL) {
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  throw new Error(
    `Tests of pages need Chromium, which is not at ${named ?? USUAL.join(", ")}: ` +
      "apt-get install chromium, or name one in PALIMPSEST_CHROMIUM",
  );
}

/** Starts the browser. A machine without one fails the test: a page that nobody looked at is not tested. */
export async function startChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: await executable(),
    args: ["--disable-background-networking", "--disable-dev-shm-usage"],
    chromiumSandbox: false,
  });
}
