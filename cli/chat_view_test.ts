import { assertEquals } from "@std/assert";
import { type ChatView, FileView, LiveView, type Turn } from "./chat_view.ts";

const OPTIONS = { names: { base: "small", finetuned: "tuned" }, json: false };

function show(view: ChatView, question: string, base: string, finetuned: string): void {
  view.ask(question);
  for (const [side, text] of [["base", base], ["finetuned", finetuned]] as const) {
    view.begin(side);
    view.push(text);
  }
  const turn = { prompt: question, base: { ids: [], text: "" }, finetuned: { ids: [], text: "" } };
  view.end(turn satisfies Turn);
}

Deno.test("FileView prints finished turns in 80 columns, with the questions and one header", () => {
  let out = "";
  const view = new FileView({ ...OPTIONS, questionsSeen: false }, (text) => out += text);
  show(view, "One\x1b?", "first ".repeat(8), "second");
  show(view, "Two?", "third", "fourth […]");
  assertEquals(out.split("\n"), [
    "small                                  │ tuned",
    "─".repeat(39) + "┼" + "─".repeat(39),
    "> One\\x1b?",
    "first first first first first first    │ second",
    "first first                            │",
    "",
    "> Two?",
    "third                                  │ fourth […]",
    "",
    "",
  ]);
});

Deno.test("FileView prints nothing of a turn that failed", () => {
  let out = "";
  const view = new FileView({ ...OPTIONS, questionsSeen: true }, (text) => out += text);
  view.ask();
  view.begin();
  view.end();
  assertEquals(out, "");
});

Deno.test("LiveView names the sides again when the terminal has another width, and stacks where it is narrow", () => {
  let out = "";
  let columns = 60;
  const screen = () => ({ columns, rows: 24, write: (text: string) => void (out += text) });
  const view = new LiveView({ ...OPTIONS, questionsSeen: true }, screen);
  const titled = () => {
    out = "";
    show(view, "?", "a", "b");
    return [out.includes("small "), out.includes("┼"), out.includes("── small ──")];
  };
  assertEquals(titled(), [true, true, false]);
  assertEquals(titled(), [false, false, false]);
  columns = 80;
  assertEquals(titled(), [true, true, false]);
  columns = 59;
  assertEquals(titled(), [true, false, true]);
});

Deno.test("LiveView shows questions that nobody has typed", () => {
  let out = "";
  const screen = { columns: 80, rows: 24, write: (text: string) => void (out += text) };
  show(new LiveView({ ...OPTIONS, questionsSeen: false }, () => screen), "Why\x07?", "a", "b");
  assertEquals(out.startsWith("> Why\\x07?\r\n"), true);
});
