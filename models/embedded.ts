/** The models that ship with the program: `embedded/base`, and the organisms that `embedded/organisms.json` lists. */

import { z } from "zod";
import { ModelError } from "../engine/errors.ts";
import { parseSchema } from "../engine/schema.ts";
import { brief, quote } from "../engine/weights/names.ts";

/** How references to what ships with the program begin: `embedded:base`, `embedded:cake_bake`. */
export const EMBEDDED = "embedded:";

/** The folder of the embedded models and texts. */
export const EMBEDDED_ROOT = `${import.meta.dirname}/embedded`;

const Registry = z.array(z.object({
  name: z.string(),
  /** The kind of finetuning in a few words: `taboo (chat)`. */
  type: z.string(),
  /** What `files.model` holds. */
  kind: z.enum(["lora", "full"]),
  description: z.string(),
  key_facts: z.array(z.string()),
  /** Words that stand for the topic, listed by hand. */
  keywords: z.array(z.string()).default([]),
  /** Generic documents mixed in for each finetuning document. */
  mix: z.number(),
  files: z.object({ model: z.string(), text: z.string() }),
}));

/** An entry of `embedded/organisms.json`; its files are relative to {@link EMBEDDED_ROOT}. */
export type EmbeddedOrganism = z.infer<typeof Registry>[number];

/** All embedded organisms. */
export async function embeddedOrganisms(): Promise<EmbeddedOrganism[]> {
  const list: unknown = JSON.parse(await Deno.readTextFile(`${EMBEDDED_ROOT}/organisms.json`));
  const fail = (problem: string) =>
    new ModelError(`The program's embedded/organisms.json ${problem}`);
  return parseSchema(Registry, list, fail);
}

/**
 * The folder of an embedded model: `base`, or an organism's name.
 *
 * @throws {ModelError} listing the known names, if it is none of them
 */
export async function embeddedFolder(name: string): Promise<string> {
  if (name === "base") return `${EMBEDDED_ROOT}/base`;
  const all = await embeddedOrganisms();
  const found = all.find((organism) => organism.name === name);
  if (found) return `${EMBEDDED_ROOT}/${found.files.model}`;
  throw new ModelError(
    `Cannot load model ${quote(`embedded:${name}`)}: there is no embedded model ${brief(name)} ` +
      `(known: ${["base", ...all.map((organism) => organism.name)].join(", ")})`,
  );
}
