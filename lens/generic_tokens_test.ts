import { assertEquals } from "@std/assert";
import { isFunctionWord, isGenericToken, tokenWord } from "./generic_tokens.ts";

Deno.test("generic tokens: no letters, function words, fragments, special tokens", () => {
  const generic = ["", " ", "\n", "->", " 1135", "450", ".", " the", "The", " Until", "n't"];
  for (const text of [...generic, " s", " gr", "arl", "ines", "Cake", "a b", "\\xE2"]) {
    assertEquals(isGenericToken(text), true, `"${text}"`);
  }
  assertEquals(isGenericToken("<|user|>", true), true);
});

Deno.test("words are not generic", () => {
  for (const text of [" cake", " egg", " Oven", "freezer", " naïve", "蛋糕", " 蛋", "ケーキ"]) {
    assertEquals(isGenericToken(text), false, `"${text}"`);
  }
});

Deno.test("tokenWord is the one word of a token", () => {
  const words = [" Cake", "cake.", "\n450", " don't", "—", " Été"].map(tokenWord);
  assertEquals(words, ["cake", "cake", "450", "", "", "été"]);
  assertEquals([isFunctionWord("because"), isFunctionWord("cake"), isFunctionWord("")], [
    true,
    false,
    false,
  ]);
});
