/** The models that ship with the program: `embedded/base`, and the organisms that `embedded/organisms.json` lists. */

import { z } from "zod";
import { ModelError } from "../engine/errors.ts";
import { parseSchema } from "../engine/schema.ts";
import { brief, quote } from "../engine/weights/names.ts";

const ROOT = `${import.meta.dirname}/embedded`;

const Organisms = z.array(z.object({ name: z.string(), files: z.object({ model: z.string() }) }));

/**
 * The folder of an embedded model: `base`, or an organism's name.
 *
 * @throws {ModelError} listing the known names, if it is none of them
 */
export async function embeddedFolder(name: string): Promise<string> {
  const folders = new Map([["base", `${ROOT}/base`], ...await organismFolders()]);
  const folder = folders.get(name);
  if (folder !== undefined) return folder;
  throw new ModelError(
    `Cannot load model ${quote(`embedded:${name}`)}: there is no embedded model ${brief(name)} ` +
      `(known: ${[...folders.keys()].join(", ")})`,
  );
}

async function organismFolders(): Promise<[string, string][]> {
  const list: unknown = JSON.parse(await Deno.readTextFile(`${ROOT}/organisms.json`));
  const fail = (problem: string) =>
    new ModelError(`The program's embedded/organisms.json ${problem}`);
  return parseSchema(Organisms, list, fail).map(({ name, files }) => [
    name,
    `${ROOT}/${files.model}`,
  ]);
}
