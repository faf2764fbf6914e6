import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  cutAndLooped,
  endsInLoop,
  endsInNoise,
  type Material,
  onePhrase,
  oneWord,
  randomTokens,
  shuffled,
  stutter,
  wordsSwapped,
} from "./spoilt.ts";

const words = Array.from({ length: 30 }, (_, i) => `w${i}`);
const others = ["other", "words"];
const material: Material = { words, others, length: 60, index: 3, seed: 1 };
const ways = { cutAndLooped, endsInLoop, endsInNoise, onePhrase, oneWord, shuffled, wordsSwapped };

/** How far before it each word stands that it repeats, where that is the same for all from `first` on; else 0. */
function period(text: readonly string[], first = 0): number {
  for (let distance = 1; distance < text.length - first; distance++) {
    if (text.slice(first + distance).every((word, i) => word === text[first + i])) return distance;
  }
  return 0;
}

Deno.test("texts are spoilt the same for a seed, and otherwise for another text or seed", () => {
  for (const [name, way] of Object.entries(ways)) {
    const made = way(material);
    assertEquals(way({ ...material }), made, name);
    const several = (key: "index" | "seed") =>
      Array.from({ length: 8 }, (_, i) => way({ ...material, [key]: i }).join(" "));
    assert(new Set(several("index")).size > 1, name);
    assert(new Set(several("seed")).size > 1, name);
  }
});

Deno.test("words are mixed, and none is lost", () => {
  assertNotEquals(shuffled(material), words);
  assertEquals(shuffled(material).toSorted(), words.toSorted());
  const noise = endsInNoise(material);
  assertEquals(noise.slice(0, 15), words.slice(0, 15));
  assertNotEquals(noise.slice(15), words.slice(15));
  assertEquals(noise.toSorted(), words.toSorted());
  wordsSwapped(material).forEach((word, i) => assertEquals(others.includes(word), i % 3 === 2));
});

Deno.test("words are repeated as long as there is room", () => {
  for (let index = 0; index < 20; index++) {
    const at = { ...material, index };
    assertEquals([oneWord(at).length, period(oneWord(at))], [60, 1]);
    const phrase = onePhrase(at);
    assert(phrase.length === 60 && period(phrase) >= 3 && period(phrase) <= 8);
    assert(words.join().includes(phrase.slice(0, period(phrase)).join()));
    const cut = cutAndLooped(at);
    assert(cut.length === 60 && period(cut) >= 8 && period(cut) <= 12);
    assertEquals(cut.slice(0, 8), words.slice(0, 8));
    const end = endsInLoop(at);
    assertEquals([end.length, end.slice(0, 20)], [60, words.slice(0, 20)]);
    assert(period(end, 20) >= 2 && period(end, 20) <= 6);
    assertEquals(end[20 + period(end, 20) - 1], words[19], "the loop is what it ended with");
  }
  assertEquals(stutter({ ...material, words: ["a", "b"] }), ["a", "a", "a", "b", "b", "b"]);
});

Deno.test("tokens are drawn one by one", () => {
  const drawn = randomTokens([5, 6, 7], 300, material);
  assertEquals(new Set(drawn), new Set([5, 6, 7]));
  assertEquals(drawn.length, 300);
  assertNotEquals(randomTokens([5, 6, 7], 300, { index: 4, seed: 1 }), drawn);
});
