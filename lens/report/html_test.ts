import { assert, assertEquals, assertThrows } from "@std/assert";
import { cutText, escapeText, Html, html, joined, visibleText } from "./html.ts";
import { markedText, topicRate } from "./marked_text.ts";
import { tokenText } from "./sections/readouts.ts";

Deno.test("every value of a template is escaped, in text and in attributes", () => {
  const hostile = `"><script>alert('x')</script>&\``;
  const escaped = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&#96;";
  assertEquals(
    String(html`<p title="${hostile}">${hostile}</p>`),
    `<p title="${escaped}">${escaped}</p>`,
  );
  assertEquals(String(html`${[hostile, [hostile]]}`), escaped + escaped);
  assertEquals(String(joined([hostile, 1], "<")), `${escaped}&lt;1`);
  // Values that are no text where the types say so: files are written by others.
  assertEquals(String(html`${{ toString: () => "<b>" } as never}`), "&lt;b&gt;");
});

Deno.test("HTML within HTML stays, and nothing is nothing", () => {
  assertEquals(
    String(html`<ul>${[1, 2].map((i) => html`<li>${i}</li>`)}</ul>`),
    "<ul><li>1</li><li>2</li></ul>",
  );
  assertEquals(String(html`${null}${undefined}${false}${0}${""}`), "0");
});

Deno.test("nobody can pretend to be HTML", () => {
  const like = { toString: () => "<script>" };
  assertEquals(String(html`${Object.setPrototypeOf(like, null) && "<i>"}`), "&lt;i&gt;");
  const forged = Object.create(Html.prototype);
  assertThrows(() => String(html`${forged}`), TypeError);
});

Deno.test("what has no picture of its own is made visible", () => {
  assertEquals(visibleText("a\u202eb\u2066c\u200b"), "a⟨U+202E⟩b⟨U+2066⟩c⟨U+200B⟩");
  assertEquals(
    visibleText("\x00\x1b[31m\x7f\x85\u2028"),
    "⟨U+0000⟩⟨U+001B⟩[31m⟨U+007F⟩⟨U+0085⟩⟨U+2028⟩",
  );
  assertEquals(visibleText("a\r\nb\tc\rd"), "a\nb\tc⟨U+000D⟩d");
  assertEquals(visibleText("x\ud800y"), "x\ufffdy");
  assertEquals(visibleText("👩‍🍳 हिन्दी"), "👩‍🍳 हिन्दी", "joiners and scripts stay");
  const marks = visibleText(`o${"\u0301".repeat(5000)}!`);
  assert(marks.length < 20 && marks.endsWith("⟨…⟩!"), marks);
  // All code units, alone: none of them comes through as markup, or as nothing.
  for (let unit = 0; unit < 0x10000; unit++) {
    const text = escapeText(String.fromCharCode(unit));
    assert(text !== "" && !/[<>"'`\u202a-\u202e\u2066-\u2069]/.test(text), unit.toString(16));
  }
});

Deno.test("long texts are cut, and never within a character", () => {
  assertEquals(cutText("abcdef", 4), { shown: "abcd", left: 2 });
  assertEquals(cutText("ab", 4), { shown: "ab", left: 0 });
  assertEquals(cutText("ab👩cd", 3), { shown: "ab", left: 4 });
  const text = String(markedText("x".repeat(100_000), { file: "a.json" }));
  assert(text.length < 2000, `${text.length}`);
  assert(text.includes("98,500 more characters in a.json"), text.slice(-100));
});

Deno.test("words of the topic are marked, in any case, and common beginnings are pale", () => {
  const words = new Set(["cake", "hot"]);
  assertEquals(
    String(markedText("A Cake & <hot> cakes", { words, same: 2, file: "f" })),
    '<span class="same">A </span><mark>Cake</mark> &amp; &lt;<mark>hot</mark>&gt; cakes',
  );
  assertEquals(topicRate(["A Cake, hot", "cold"], words), { share: 0.5, of: 4 });
  assertEquals(topicRate([], words), { share: 0, of: 0 });
});

Deno.test("tokens show their spaces, and are cut", () => {
  assertEquals(String(tokenText(" <b>")), '<span class="space">·</span>&lt;b&gt;');
  assertEquals(String(tokenText("\n\t\u202e")), "⏎⇥⟨U+202E⟩");
  assert(String(tokenText("y".repeat(1000))).length < 50);
});
