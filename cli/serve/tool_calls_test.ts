import { assertEquals } from "@std/assert";
import { parseSpoken, ToolFilter, type ToolForm, toolForm } from "./tool_calls.ts";

const TOOLS = new Set(["look", "ask"]);

/** What the text is in one piece, and letter by letter. */
function parsed(text: string, form: ToolForm) {
  const filter = new ToolFilter(form, TOOLS);
  const shown = [...text].map((letter) => filter.push(letter)).join("");
  const end = filter.end();
  return { whole: parseSpoken(text, form, TOOLS), shown, rest: end.content, calls: end.calls };
}

Deno.test("the form is that of the template", () => {
  assertEquals(toolForm("… <tool_call>\n…"), "hermes");
  assertEquals(toolForm('{"name": function name, "parameters": dictionary}'), "llama3");
  assertEquals(toolForm("[TOOL_CALLS]"), undefined);
});

Deno.test("Hermes: text, then calls; nothing of a call is shown as text", () => {
  const call = (name: string, given: unknown) =>
    `<tool_call>\n${JSON.stringify({ name, arguments: given })}\n</tool_call>`;
  const text = `Let me see.\n${call("look", { at: "}</x" })}\n${call("ask", {})}`;
  const calls = [{ name: "look", arguments: '{"at":"}</x"}' }, { name: "ask", arguments: "{}" }];
  const found = parsed(text, "hermes");
  assertEquals(found.whole, { content: "Let me see.", calls });
  assertEquals([found.shown, found.rest, found.calls], ["Let me see.\n", "", calls]);
  // The stop token came before the end of the last.
  const open = `<tool_call>{"name": "ask", "arguments": {"q": 1}}`;
  assertEquals(parsed(open, "hermes").calls, [{ name: "ask", arguments: '{"q":1}' }]);
});

Deno.test("Hermes: what is no call of a known tool stays text", () => {
  const wrong = [
    '<tool_call>{"name": "rm", "arguments": {}}</tool_call>',
    '<tool_call>{"name": "look", "arguments": [1]}</tool_call>',
    '<tool_call>{"name": "look", "arguments"',
    "<tool_call>null</tool_call>",
    "a < b, <tool",
    "nothing at all",
  ];
  for (const text of wrong) {
    const { whole, shown, rest, calls } = parsed(text, "hermes");
    assertEquals(whole, { content: text, calls: [] });
    assertEquals([shown + rest, calls], [text, []]);
  }
});

Deno.test("Llama: nothing but calls, or text", () => {
  const look = '{"name": "look", "parameters": {"at": "a;b}"}}';
  const calls = [{ name: "look", arguments: '{"at":"a;b}"}' }];
  assertEquals(parsed(look, "llama3"), {
    whole: { content: "", calls },
    shown: "",
    rest: "",
    calls,
  });
  const two = parsed(`${look}; ${look}`, "llama3");
  assertEquals([two.shown, two.calls], ["", [...calls, ...calls]]);
  for (const text of ["I look", '{"name": "rm", "parameters": {}}', "{ braces", `${look}; no`]) {
    const { whole, shown, rest, calls } = parsed(text, "llama3");
    assertEquals(whole, { content: text, calls: [] });
    assertEquals([shown + rest, calls], [text, []]);
  }
});
