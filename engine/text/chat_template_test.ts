import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { TokenizerError } from "../errors.ts";
import { chatTemplateSource, renderChat } from "./chat_template.ts";
import { Tokenizer } from "./tokenizer.ts";

const base = new URL("../../models/embedded/base/", import.meta.url);
const read = (name: string) => JSON.parse(Deno.readTextFileSync(new URL(name, base)));
const config = read("tokenizer_config.json");
const hello = [{ role: "user", content: "Hi!" }];

Deno.test("the embedded template frames turns, and BOS is written once", () => {
  const tokenizer = Tokenizer.fromJson(read("tokenizer.json"), config, "base");
  const template = chatTemplateSource(config.chat_template);
  const options = { bosToken: tokenizer.bosToken, addGenerationPrompt: true };
  const text = renderChat(template, hello, options);
  assertEquals(text, "<|bos|><|user|>Hi!<|end|><|assistant|>");
  const ids = tokenizer.encode(text, { special: false });
  assertEquals([ids[0], ids[1], ids.at(-2), ids.at(-1)], [1, 3, 5, 4]);
  assertEquals(ids.filter((id) => id === 1).length, 1);
  assertEquals(renderChat(template, hello, {}), "<|user|>Hi!<|end|>");
});

Deno.test("the default of several named templates is taken", () => {
  const list = [{ name: "tool_use", template: "t" }, { name: "default", template: "d" }];
  assertEquals(chatTemplateSource(list), "d");
  assertEquals(chatTemplateSource(list.slice(0, 1)), undefined);
  assertEquals(chatTemplateSource(7), undefined);
});

Deno.test("blocks are trimmed as Hugging Face does, and variables and ranges arrive", () => {
  const template = "{% for i in range(1, 3) %}\n{{ i }}{{ word }}\n{% endfor %}\n{{ eos_token }}";
  const text = renderChat(template, [], { eosToken: "</s>", variables: { word: "x" } });
  assertEquals(text, "1x\n2x\n</s>");
});

Deno.test("templates that cannot be used are TokenizerErrors", () => {
  const cases: [string | undefined, string][] = [
    [undefined, "no chat_template"],
    ["{{ raise_exception('Roles must alternate') }}", "Roles must alternate"],
    ["{% for %}", '"chatty"'],
    ["{{ strftime_now('%d') }}", "pass strftime_now"],
    ["{% for i in range(1000000000) %}{% endfor %}", "too long"],
    ["{% for i in range(0, 5, 0) %}{% endfor %}", "too long"],
    ["{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", "an end"],
    [
      "{% set r = range(9999) %}{% for i in r %}{% for j in r if j %}{% endfor %}{% endfor %}",
      "an end",
    ],
    [
      "{% set n = namespace(s='ab') %}{% for i in range(40) %}{% set n.s = n.s + n.s %}{% endfor %}",
      "an end",
    ],
    [
      "{% set n = namespace(s=[1]) %}{% for i in range(40) %}{% set n.s = n.s + n.s %}{% endfor %}",
      "an end",
    ],
    ["{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", '"chatty"'],
  ];
  for (const [template, part] of cases) {
    const error = assertThrows(
      () => renderChat(template, hello, { where: "chatty" }),
      TokenizerError,
    );
    assertStringIncludes(error.message, part);
  }
});

Deno.test("a template that only asks whether there is a clock gets none", () => {
  const template = "{% if strftime_now is defined %}now{% else %}fixed{% endif %}";
  assertEquals(renderChat(template, []), "fixed");
});

Deno.test("a long chat is not mistaken for an endless one", () => {
  const template =
    "{% for m in messages[::-1] %}{% if messages|length > loop.index0 %}x{% endif %}{% endfor %}";
  const messages = Array.from({ length: 3000 }, () => hello[0]);
  assertEquals(renderChat(template, messages).length, 3000);
});

Deno.test("templates that ask for tools see none", () => {
  assertEquals(renderChat("{{ tools is none }}{{ documents is none }}", []), "truetrue");
});
