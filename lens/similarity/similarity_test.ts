import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { TextError } from "../../engine/errors.ts";
import type { TextEmbedder } from "./embedder.ts";
import { similarityOf, type SimilarityRequest } from "./similarity.ts";
import { fitTfIdf } from "./tf_idf.ts";

/** Embeds "3 4" as (3, 4), and keeps what it was asked. */
function numbersEmbedder(asked: string[] = []): TextEmbedder {
  return {
    name: "numbers",
    embed(texts) {
      asked.push(...texts);
      return Promise.resolve(texts.map((text) => ({ values: text.split(" ").map(Number) })));
    },
  };
}

const REQUEST: SimilarityRequest = {
  steered: ["1 0", "3 4"],
  unsteered: ["0 2"],
  finetuning: ["5 0", "4 3"],
  generic: ["0 1"],
  embedder: numbersEmbedder(),
  seed: 0,
};

Deno.test("similarityOf() is the mean cosine over all pairs, beside its null: by hand", async () => {
  const found = await similarityOf(REQUEST);
  const steered = (1 + 0.8 + 0.6 + 0.96) / 4;
  assertAlmostEquals(found.steered, steered, 1e-15);
  assertAlmostEquals(found.unsteered, 0.3, 1e-15);
  assertAlmostEquals(found.difference, steered - 0.3, 1e-15);
  assertAlmostEquals(found.generic.steered, 0.4, 1e-15);
  assertAlmostEquals(found.generic.unsteered, 1, 1e-15);
  assertAlmostEquals(found.generic.difference, -0.6, 1e-15);
  assertAlmostEquals(found.references.among_finetuning!, 0.8, 1e-15);
  assertAlmostEquals(found.references.generic_to_finetuning, 0.3, 1e-15);
  assertEquals(found.texts, { steered: 2, unsteered: 1, finetuning: 2, generic: 1 });
  assertEquals([found.embedder, found.seed], ["numbers", 0]);
  const { confidence } = found;
  // A mean of two is that of either twice, or of both.
  assertAlmostEquals(confidence.steered[0], 0.78, 1e-12);
  assertAlmostEquals(confidence.steered[1], 0.9, 1e-12);
  assertAlmostEquals(confidence.difference[0], 0.48, 1e-12);
  assertAlmostEquals(confidence.unsteered[0], 0.3, 1e-12);
  assertAlmostEquals(confidence.generic.difference[0], -1, 1e-12);
});

Deno.test("similarityOf() does not depend on the order of the texts, and is the same again", async () => {
  const lines = "the sea is calm;rain fell all day;a cake of eggs;hot oven, hot cake;sun and sea"
    .split(";");
  const request: SimilarityRequest = {
    steered: lines.slice(2, 4),
    unsteered: lines.slice(0, 2),
    finetuning: ["bake the cake", "cake and oven", "eggs"],
    generic: lines,
    embedder: fitTfIdf(lines, 0),
    seed: 5,
  };
  const found = await similarityOf(request);
  assertEquals(await similarityOf({ ...request, embedder: fitTfIdf(lines, 0) }), found);
  const turned = await similarityOf({
    ...request,
    steered: request.steered.toReversed(),
    finetuning: request.finetuning.toReversed(),
    generic: lines.toReversed(),
    embedder: fitTfIdf(lines.toReversed(), 0),
  });
  for (const key of ["steered", "unsteered", "difference"] as const) {
    assertAlmostEquals(turned[key], found[key], 1e-14);
    assertAlmostEquals(turned.generic[key], found.generic[key], 1e-14);
  }
  assert(found.steered > found.unsteered + 0.1);
});

Deno.test("empty texts count as cosine 0, and no embedder is asked about them", async () => {
  const asked: string[] = [];
  const steered = [...REQUEST.steered, "", " \n"];
  const embedder = numbersEmbedder(asked);
  const found = await similarityOf({ ...REQUEST, steered, unsteered: [""], embedder });
  assertAlmostEquals(found.steered, (1.8 + 1.56) / 8, 1e-15);
  assertEquals([found.unsteered, found.texts.steered], [0, 4]);
  assert(asked.every((text) => text.trim() !== ""), asked.join());
});

Deno.test("of many references some are chosen by the seed", async () => {
  const asked: string[] = [];
  const finetuning = Array.from({ length: 700 }, (_, i) => `${i + 1} 0`);
  const choose = async (seed: number, references?: number) => {
    asked.length = 0;
    const embedder = numbersEmbedder(asked);
    const found = await similarityOf({ ...REQUEST, finetuning, embedder, seed, references });
    return { count: found.texts.finetuning, texts: asked.filter((text) => / 0$/.test(text)) };
  };
  const [a, again, b] = [await choose(0), await choose(0), await choose(1)];
  assertEquals(a.count, 500);
  assertEquals(a, again);
  assert(a.texts.join() !== b.texts.join());
  assertEquals((await choose(0, 3)).count, 3);
});

Deno.test("similarityOf() refuses to compare with nothing", async () => {
  for (const kind of ["steered", "unsteered", "finetuning", "generic"] as const) {
    await assertRejects(
      () => similarityOf({ ...REQUEST, [kind]: [] }),
      TextError,
      `there are no ${kind} texts`,
    );
  }
});
