/** The report in a browser: what hostile texts do (nothing), and whether people can read it on a phone, in the dark, by keyboard. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { writeReport } from "../../lens/report/report_step.ts";
import { RunFolder } from "../../lens/results/run_folder.ts";
import { type FixtureTexts, PLAIN_TEXTS, writeRun } from "../report_fixture.ts";
import { startChromium } from "./chromium.ts";

const HOST = "http://attacker.invalid";
const MARK = "globalThis.pwned = true; document.title = 'pwned'";

/** What a model may write, or be made to write. */
const HOSTILE = [
  `<script>${MARK}</script>`,
  `</blockquote></article></main></body><script src="${HOST}/a.js"></script>`,
  `</style><style>body { display: none }</style>`,
  `</title><img src="${HOST}/a.png" onerror="${MARK}">`,
  `<svg onload="${MARK}"><animate onbegin="${MARK}" attributeName="x"/></svg>`,
  `<a href="javascript:${MARK}" autofocus onfocus="${MARK}">click</a>`,
  `<details open ontoggle="${MARK}"><summary>x</summary></details>`,
  `<iframe srcdoc="<script>parent.pwned = true</script>"></iframe>`,
  `<base href="${HOST}/"><link rel="stylesheet" href="${HOST}/a.css"><object data="${HOST}"></object>`,
  `<meta http-equiv="refresh" content="0;url=${HOST}">`,
  `" onmouseover="${MARK}" x="' onmouseover='${MARK}`,
  `<!-- ]]> <![CDATA[ --!> <textarea><plaintext>`,
  `A`.repeat(100_000),
  `word `.repeat(20_000),
  `\u202e\u2066reversed\u2069\u202c \u200b\ufeff \x00\x08\x1b[31m\x9b`,
  `half \ud83d of a pair \udc00, \ufffe\uffff`,
  `o${"\u0301".repeat(3000)} ${"\u0e47".repeat(500)}`,
  "BROKEN-BYTES",
];

const TEXTS: FixtureTexts = {
  steered: HOSTILE,
  unsteered: HOSTILE.toReversed(),
  prompt: HOSTILE.slice(0, 12).join(""),
  token: `<img src=x onerror="${MARK}">`,
  name: `</h1><script>${MARK}</script>`,
  description: HOSTILE.slice(0, 12).join("\n"),
};

/** Puts bytes that are no UTF-8 in the place of a marker in the steered texts. */
async function breakBytes(path: string): Promise<void> {
  const step = "steer_2_1";
  const fingerprint = JSON.parse(await Deno.readTextFile(`${path}/steer/fingerprint.json`));
  using folder = await RunFolder.open(`${path}/steer`, { fingerprint });
  const bytes = await folder.readBytes(`${step}.json`);
  const marker = new TextEncoder().encode("BROKEN-BYTES");
  const broken = [0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf8, 0x88, 0x80, 0x80, 0x80];
  let found = 0;
  for (let i = 0; i + marker.length <= bytes.length; i++) {
    if (!marker.every((byte, at) => bytes[i + at] === byte)) continue;
    bytes.set(broken, i);
    found++;
  }
  assertEquals(found, 2);
  const { files: _, ...fields } = folder.step(step)!;
  await folder.writeBytes(`${step}.json`, bytes);
  await folder.finish(step, fields);
}

/** A page, and everything that it tried to load besides itself. */
interface Opened {
  page: Page;
  requests: string[];
}

async function open(
  browser: Browser,
  path: string,
  { width = 1100, dark = false } = {},
): Promise<Opened> {
  const page = await browser.newPage({
    viewport: { width, height: 800 },
    colorScheme: dark ? "dark" : "light",
  });
  const url = new URL(`file://${path}`).href;
  const requests: string[] = [];
  page.on("request", (request) => {
    if (request.url() !== url) requests.push(request.url());
  });
  page.on("dialog", () => requests.push("a dialog"));
  page.on("popup", () => requests.push("a window"));
  await page.goto(url);
  return { page, requests };
}

/** Evaluates in the page: as a text, since its types are those of a browser. */
const ask = async <T>({ page }: Opened, code: string): Promise<T> => await page.evaluate(code) as T;

const UNFOLD = "document.querySelectorAll('details').forEach((each) => each.open = true)";

async function withReports(
  run: (paths: { plain: string; hostile: string }, browser: Browser) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "palimpsest_browser_" });
  const browser = await startChromium();
  try {
    await writeRun(`${folder}/plain`, PLAIN_TEXTS);
    await writeRun(`${folder}/hostile`, TEXTS);
    await breakBytes(`${folder}/hostile`);
    await writeReport(`${folder}/hostile`);
    const page = (name: string) => `${folder}/${name}/report.html`;
    await run({ plain: page("plain"), hostile: page("hostile") }, browser);
  } finally {
    await browser.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the report in Chromium", async (t) => {
  await withReports(async ({ plain, hostile }, browser) => {
    await t.step("hostile texts run nothing, load nothing and stay what they are", async () => {
      const opened = await open(browser, hostile);
      const { page, requests } = opened;
      await ask(opened, UNFOLD);
      for (const each of await page.locator("blockquote").all()) {
        await each.hover({ timeout: 5000 });
      }
      await page.waitForTimeout(300);
      assertEquals(await ask(opened, "globalThis.pwned ?? null"), null);
      assertEquals(requests, []);
      assertMatch(await page.title(), /^<\/h1><script>.* against base$/);
      const made =
        "script, img, iframe, object, base, link, textarea, plaintext, animate, [onload], [onerror]";
      assertEquals(await page.locator(made).count(), 0);
      assertEquals(
        await page.locator("meta[http-equiv=refresh], style + style, a:not([href^='#'])").count(),
        0,
      );
      const text = await page.locator("#steering").innerText();
      for (const wanted of ["<script>globalThis", "</style><style>", "⟨U+202E⟩", "⟨U+0000⟩", "�"]) {
        assert(text.includes(wanted), wanted);
      }
      assert(text.includes("more characters in steer/steer_2_1.json"), "what was cut is said");
      assertEquals(await ask(opened, "getComputedStyle(document.body).display"), "block");
    });

    await t.step("the policy stops a script even where one has got in", async () => {
      const html = await Deno.readTextFile(plain);
      const path = plain.replace("report.html", "broken.html");
      await Deno.writeTextFile(
        path,
        html.replace(
          "<main",
          `<script>${MARK}</script><img src="${HOST}/x.png" onerror="${MARK}"><p id="styled" style="color: red">x</p><main`,
        ),
      );
      const opened = await open(browser, path);
      await opened.page.waitForTimeout(200);
      assertEquals(await ask(opened, "globalThis.pwned ?? null"), null);
      // Chromium announces a request that the policy then blocks; none may come back.
      assertEquals(await ask(opened, "document.querySelector('img').naturalWidth"), 0);
      assert(
        await ask<string>(opened, "getComputedStyle(document.getElementById('styled')).color") !==
          "rgb(255, 0, 0)",
      );
    });

    await t.step("a phone shows all of it without scrolling sideways", async () => {
      for (const path of [plain, hostile]) {
        const opened = await open(browser, path, { width: 360 });
        await ask(opened, UNFOLD);
        assertEquals(await ask(opened, "document.documentElement.scrollWidth"), 360);
        const wide = await ask<string[]>(
          opened,
          `[...document.querySelectorAll("body *")].filter((each) => !each.closest(".scroll > *, svg, .skip"))
            .filter((each) => each.getBoundingClientRect().right > 361).map((each) => each.outerHTML.slice(0, 100))`,
        );
        assertEquals(wide, []);
        const small = await ask<number>(
          opened,
          `Math.min(...[...document.querySelectorAll("svg.chart text")].filter((each) => each.getBoundingClientRect().width > 0)
            .map((each) => parseFloat(getComputedStyle(each).fontSize) * each.closest("svg").getBoundingClientRect().width / each.closest("svg").viewBox.baseVal.width))`,
        );
        assert(small > 9, `the smallest letters of a figure are ${small} px`);
      }
    });

    await t.step("headings, tables, figures and links are what a screen reader needs", async () => {
      const opened = await open(browser, plain);
      assertEquals(await ask(opened, "document.documentElement.lang"), "en");
      const levels = await ask<number[]>(
        opened,
        `[...document.querySelectorAll("h1, h2, h3, h4")].map((each) => Number(each.tagName[1]))`,
      );
      assertEquals(levels.filter((level) => level === 1).length, 1);
      const skipped = levels.filter((level, i) => i > 0 && level > levels[i - 1] + 1);
      assertEquals(skipped, [], "no level is left out");
      const missing = await ask<Record<string, number>>(
        opened,
        `({
          captions: [...document.querySelectorAll("table")].filter((each) => !each.caption?.textContent.trim()).length,
          scopes: document.querySelectorAll("th:not([scope])").length,
          labels: [...document.querySelectorAll("svg:not([aria-hidden])")].filter((each) => !each.getAttribute("aria-label")).length,
          targets: [...document.querySelectorAll("a[href^='#']")].filter((each) => !document.querySelector(each.getAttribute("href"))).length,
          ids: [...document.querySelectorAll("[id]")].length - new Set([...document.querySelectorAll("[id]")].map((each) => each.id)).size,
          summaries: [...document.querySelectorAll("details")].filter((each) => each.firstElementChild?.tagName !== "SUMMARY").length,
        })`,
      );
      assertEquals(missing, {
        captions: 0,
        scopes: 0,
        labels: 0,
        targets: 0,
        ids: 0,
        summaries: 0,
      });
    });

    await t.step("the keyboard unfolds what is folded", async () => {
      const opened = await open(browser, plain);
      const folded = opened.page.locator("details:not([open]) > summary").first();
      await folded.focus();
      await opened.page.keyboard.press("Enter");
      assertEquals(await ask(opened, "document.activeElement.parentElement.open"), true);
      await opened.page.keyboard.press("Enter");
      assertEquals(await ask(opened, "document.activeElement.parentElement.open"), false);
    });

    await t.step("light, dark and paper have colours of their own", async () => {
      const colours = async (dark: boolean, media?: "print") => {
        const opened = await open(browser, plain, { dark });
        if (media) await opened.page.emulateMedia({ media });
        return await ask<string[]>(
          opened,
          `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector("svg.chart path[stroke]")).stroke,
            getComputedStyle(document.querySelector("nav")).display]`,
        );
      };
      const [light, dark, paper] = [
        await colours(false),
        await colours(true),
        await colours(true, "print"),
      ];
      assertEquals(light, ["rgb(253, 252, 248)", light[1], "block"]);
      assertEquals(dark[0], "rgb(22, 23, 26)");
      assert(light[1] !== dark[1], "figures change too");
      assertEquals(paper, ["rgb(255, 255, 255)", light[1], "none"]);
    });
  });
});
