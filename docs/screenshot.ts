/**
 * The picture of a report in the README: its first page in light, and the page from a later section on in dark, side by side.
 *
 *     deno run -A docs/screenshot.ts DIR/report.html
 */

import { startChromium } from "../tests/browser/chromium.ts";

/** Of each half, in CSS pixels. */
const SIZE = { width: 950, height: 1180 };

/** Where the second half begins. */
const LATER = "#relevance";

const [report] = Deno.args;
if (report === undefined) {
  console.error("Missing REPORT: name the report.html of a run");
  Deno.exit(1);
}

const browser = await startChromium();
const halves: string[] = [];
for (const [colorScheme, from] of [["light", null], ["dark", LATER]] as const) {
  const page = await browser.newPage({ colorScheme, viewport: SIZE });
  await page.goto(new URL(report, `file://${Deno.cwd()}/`).href);
  if (from !== null) {
    await page.locator(from).evaluate((section) => section.scrollIntoView({ block: "start" }));
  }
  halves.push(new Uint8Array(await page.screenshot()).toBase64());
  await page.close();
}
const page = await browser.newPage({ viewport: { ...SIZE, width: 2 * SIZE.width } });
const images = halves.map((half) => `<img src="data:image/png;base64,${half}">`).join("");
await page.setContent(
  `<style>body { margin: 0; display: flex } img { width: ${SIZE.width}px }</style>${images}`,
);
await page.waitForFunction("[...document.images].every((image) => image.complete)");
const path = new URL("report.png", import.meta.url).pathname;
await page.screenshot({ path });
await browser.close();
console.log(`Wrote ${path}`);
