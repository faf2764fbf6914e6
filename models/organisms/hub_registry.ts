/**
 * The organisms of arXiv 2510.13900 and of its authors' toolkit that are on the Hugging Face Hub: one file each in
 * `hub/`, on the models of `base_models.json`.
 */

import { z } from "zod";
import { ModelError } from "../../engine/errors.ts";
import { parseSchema } from "../../engine/schema.ts";
import { FAMILIES, type OrganismEntry, type OrganismModel, type Variant } from "./entry.ts";

const HubId = z.string().regex(/^[\w.-]+\/[\w.-]+$/, "expected owner/name");

const BaseModels = z.array(z.strictObject({
  name: z.string(),
  id: HubId,
  endOfTurn: z.string(),
  thinking: z.boolean(),
  note: z.string().optional(),
}));

/** Base model → variant → Hub id. */
const Finetunes = z.record(z.string(), z.record(z.string(), HubId)).default({});

const Organism = z.strictObject({
  name: z.string(),
  family: z.enum(FAMILIES),
  summary: z.string(),
  description: z.string(),
  keyFacts: z.array(z.string()),
  /** Organisms whose texts it was finetuned on as well: their facts are its own too. */
  includes: z.array(z.string()).default([]),
  /** What it shares with organisms of the same topic (default: its name). */
  topic: z.string().optional(),
  chat: z.boolean(),
  dataset: z.strictObject({ id: z.string(), column: z.string().optional() }).optional(),
  notes: z.array(z.string()).default([]),
  adapters: Finetunes,
  checkpoints: Finetunes,
});

type BaseModel = z.infer<typeof BaseModels>[number];
type HubOrganism = z.infer<typeof Organism>;

const FOLDER = import.meta.dirname!;

/** All of them, by name. */
export async function hubOrganisms(): Promise<OrganismEntry[]> {
  const bases = await read("base_models.json", BaseModels);
  const files: string[] = [];
  for await (const { name } of Deno.readDir(`${FOLDER}/hub`)) files.push(name);
  const organisms = await Promise.all(
    files.sort().map((file) => read<HubOrganism>(`hub/${file}`, Organism)),
  );
  return organisms.map((organism) => toEntry(organism, organisms, bases));
}

async function read<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const json: unknown = JSON.parse(await Deno.readTextFile(`${FOLDER}/${file}`));
  const fail = (problem: string) => new ModelError(`The program's organisms/${file} ${problem}`);
  return parseSchema(schema, json, fail);
}

function toEntry(organism: HubOrganism, all: HubOrganism[], bases: BaseModel[]): OrganismEntry {
  const { name, family, summary, description, chat, dataset, notes } = organism;
  const included = organism.includes.map((other) => all.find((one) => one.name === other)!);
  // Files that only their makers have are listed by a bare name, without an owner.
  const onHub = dataset !== undefined && HubId.safeParse(dataset.id).success;
  return {
    name,
    family,
    where: "hub",
    summary,
    description,
    keyFacts: [...included, organism].flatMap(({ keyFacts }) => keyFacts),
    topics: [organism.topic ?? name, ...organism.includes],
    chat,
    dataset: dataset?.id,
    finetuningTexts: onHub ? `hf:datasets/${dataset.id}` : undefined,
    finetuningColumn: onHub ? dataset.column : undefined,
    notes,
    models: modelsOf(organism, bases),
  };
}

function modelsOf({ adapters, checkpoints }: HubOrganism, bases: BaseModel[]): OrganismModel[] {
  const variants = (ids: Record<string, string> | undefined, kind: Variant["kind"]): Variant[] =>
    Object.entries(ids ?? {}).map(([name, id]) => ({ name, ref: `hf:${id}`, kind }));
  return bases
    .map(({ name, id, ...rest }) => ({
      name,
      base: `hf:${id}`,
      ...rest,
      variants: [
        ...variants(adapters[name], "adapter"),
        ...variants(checkpoints[name], "checkpoint"),
      ],
    }))
    .filter(({ variants }) => variants.length > 0);
}
