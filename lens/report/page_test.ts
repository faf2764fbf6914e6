import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { html } from "./html.ts";
import { contentSecurityPolicy, page } from "./page.ts";
import css from "./report.css" with { type: "text" };

const PAGE = page({
  title: `</title><script>`,
  lead: html`<p>lead</p>`,
  sections: [{ id: "a", title: "</h2>", body: html`<p>${"</style>"}</p>` }],
});

Deno.test("the policy forbids all but the one style sheet, by its hash", () => {
  const style = /<style>([\s\S]*?)<\/style>/.exec(PAGE)![1];
  assertEquals(style, css);
  const hash = createHash("sha256").update(style).digest("base64");
  const policy =
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  assertEquals(contentSecurityPolicy(), policy);
  const head = PAGE.slice(0, PAGE.indexOf("<title>"));
  assert(head.includes("Content-Security-Policy"), "before anything that it governs");
  assert(!/<script|<\/title><|<\/h2><\/h2>/.test(PAGE.replace("</title>\n", "")));
  assertEquals(PAGE.match(/<style/g)?.length, 1);
  assertMatch(PAGE, /<h2 id="a-title">&lt;\/h2&gt;<\/h2>/);
  assert(!/url\(|@import/.test(css), "the style sheet loads nothing");
});

/** The variables of each colour scheme. */
function schemes(): Record<string, Map<string, string>> {
  const variables = (text: string) =>
    new Map(
      [...text.matchAll(/--([a-z-]+): (#[0-9a-f]{3,6})\b/g)].map((
        [, name, value],
      ) => [name, value]),
    );
  const block = (start: string) => {
    const at = css.indexOf(start);
    return css.slice(at, css.indexOf("}", css.indexOf(":root", at)));
  };
  const light = variables(block(":root"));
  const over = (start: string) => new Map([...light, ...variables(block(start))]);
  return { light, dark: over("@media (prefers-color-scheme: dark)"), print: over("@media print") };
}

/** WCAG 2.2: (L₁ + 0.05) / (L₂ + 0.05) of the relative luminances. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string) => {
    const digits = hex.length === 4
      ? [...hex.slice(1)].map((digit) => digit + digit)
      : hex.slice(1).match(/../g)!;
    const [r, g, blue] = digits.map((pair) => {
      const value = parseInt(pair, 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
  };
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

Deno.test("text has a contrast of 4.5 and more, drawings of 3, in every colour scheme", () => {
  assertEquals(contrast("#000000", "#fff"), 21);
  for (const [scheme, colours] of Object.entries(schemes())) {
    const check = (front: string, back: string, least: number) => {
      const found = contrast(colours.get(front)!, colours.get(back)!);
      assert(found >= least, `${scheme}: ${front} on ${back} has ${found.toFixed(2)}`);
    };
    for (const back of ["page", "raised"]) {
      for (const front of ["ink", "quiet", "link"]) check(front, back, 4.5);
    }
    check("mark-ink", "mark", 4.5);
    for (const front of ["difference", "finetuned", "base", "sibling", "random"]) {
      check(front, "page", 3);
    }
  }
});
