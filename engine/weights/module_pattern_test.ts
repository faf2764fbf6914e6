import { assertEquals, assertThrows } from "@std/assert";
import { modulePattern } from "./module_pattern.ts";

const PATH = "model.layers.12.self_attn.q_proj";

Deno.test("a plain key is the path or a whole-part ending of it", () => {
  for (const key of [PATH, "q_proj", "self_attn.q_proj", "12.self_attn.q_proj"]) {
    assertEquals(modulePattern(key)(PATH), true, key);
  }
  for (const key of ["proj", "k_proj", "2.self_attn.q_proj", "model.layers.12", `x.${PATH}`]) {
    assertEquals(modulePattern(key)(PATH), false, key);
  }
});

// The expected values are those of Python's re.match(rf"(.*\.)?({key})$", path).
Deno.test("operators mean what they mean in Python's re", () => {
  const cases: [key: string, expected: boolean][] = [
    ["self_attn\\.q_proj", true],
    ["self_attn\\.[qk]_proj", true],
    ["self_attn\\.[^qk]_proj", false],
    ["(?:q|k)_proj", true],
    ["k_proj|q_proj", true],
    ["layers\\.(1|2)\\..*", false],
    ["layers\\.(1|12)\\..*", true],
    ["layers\\.\\d+\\.self_attn.*", true],
    ["layers\\.[0-9]\\.self_attn.*", false],
    ["layers\\.1?2\\.\\w+\\.q_proj", true],
    ["layers\\.3*12\\.self_attn\\.q_proj", true],
    ["layers\\.3+12\\.self_attn\\.q_proj", false],
    ["^q_proj", false],
    ["^model\\..*q_proj$", true],
    [".*mlp.*", false],
    [".*", true],
    ["", false],
    ["(q_proj)*?", true],
  ];
  for (const [key, expected] of cases) assertEquals(modulePattern(key)(PATH), expected, key);
});

Deno.test("expressions that send a backtracking engine away for years answer at once", () => {
  for (
    const key of [
      "(.*)*x",
      "(.+)+(.+)+(.+)+x",
      "(a|a|.)*(.|.)*x",
      "((((.*)*)*)*)*x",
      "(.?)*".repeat(30),
    ]
  ) {
    assertEquals(modulePattern(key)(PATH.repeat(5)), key.endsWith("*"), key);
  }
});

Deno.test("other syntax is refused", () => {
  const keys = [
    "(?!q)_proj",
    "(?=q).*",
    "q{2}",
    "(q",
    "q)",
    "[q",
    "[",
    "[]",
    "*q",
    "q**",
    "\\b",
    "\\1",
    "\\",
    "q_proj\n",
    "(?P<n>q)",
    "x*".repeat(101),
  ];
  for (const key of keys) assertThrows(() => modulePattern(key), SyntaxError, undefined, key);
});
