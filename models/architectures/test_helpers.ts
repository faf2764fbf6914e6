/** What the tests of the architectures share. */

import { assertEquals, assertThrows } from "@std/assert";
import { ModelError } from "../../engine/errors.ts";
import type { ModelSpec } from "../../engine/model_spec.ts";
import { parseConfig } from "../config.ts";

/** A JSON object of a config. */
export type Json = Record<string, unknown>;

/** Sizes that every architecture takes. */
export const SIZES = {
  hidden_size: 64,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 128,
  vocab_size: 100,
};

/** A config of the folder `tests/fixtures/`. */
export function fixture(path: string): Json {
  const url = new URL(`../../tests/fixtures/${path}`, import.meta.url);
  return JSON.parse(Deno.readTextFileSync(url));
}

/** The spec of a fixture's `config.json`. */
export function fixtureSpec(model: string): ModelSpec {
  return parseConfig(fixture(`${model}/config.json`), model);
}

/** The windows of a spec's layers. */
export function windows(spec: ModelSpec): (number | null)[] {
  return spec.attention.map(({ window }) => window);
}

/** Readers of changes to one config: the spec that comes out, and the refusal with a message that says all that is listed. */
export function variantsOf(config: Json) {
  // Through text, as a file has no undefined: a key that is changed to it is left out.
  const read = (changes: Json = {}) =>
    parseConfig(JSON.parse(JSON.stringify({ ...config, ...changes })), "x");
  const refuses = (changes: Json, ...says: string[]) => {
    const { message } = assertThrows(() => read(changes), ModelError);
    for (const text of ['Cannot load model "x": config.json ', ...says]) {
      assertEquals(message.includes(text), true, `${message} lacks ${text}`);
    }
  };
  return { read, refuses };
}
