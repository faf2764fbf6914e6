/** What `deno task organisms` prints for people. */

import {
  describeVariant,
  FAMILIES,
  type Family,
  type OrganismEntry,
  type OrganismModel,
  type Variant,
} from "../models/organisms.ts";
import { displayWidth, formatTable } from "./table.ts";
import { wrap } from "./wrap.ts";

/** What the letters stand for. */
const FAMILY_TITLES: Record<Family, string> = {
  SDF: "SDF: false facts in synthetic documents",
  EM: "EM: emergent misalignment from unsafe advice",
  Subliminal: "Subliminal: a preference passed on through number data",
  Taboo: "Taboo: a secret word that is hinted at and never said",
  Domain: "Domain: a field of knowledge, as a control",
  Chat: "Chat: general post-training, as a control",
  Behavioural: "Behavioural: a habit, a bias or a style",
};

const FOOTER =
  "All about one: deno task organisms NAME. Reading one: deno task diff --organism NAME " +
  "[--model MODEL] [--variant VARIANT]. A name that is embedded too stands for the embedded one, unless a model is named.";

/** The widest that prose is set. */
const MEASURE = 100;

/** A table a family. */
export function formatOrganisms(entries: readonly OrganismEntry[], width: number): string {
  // Names are there to be typed: the tables are cut elsewhere, and stand under each other.
  const nameWidth = Math.max(...entries.map(({ name }) => name.length));
  const tables = FAMILIES.map((family) => {
    const rows = entries.filter((entry) => entry.family === family).map(row);
    if (rows.length === 0) return undefined;
    rows[0][0] = rows[0][0].padEnd(nameWidth);
    const columns = [
      { title: "name", minWidth: nameWidth },
      { title: "where".padEnd("10 models".length) },
      { title: "variants", align: "right" as const },
      { title: "about" },
    ];
    return `${FAMILY_TITLES[family]}\n\n${formatTable(columns, rows, { width })}`;
  });
  return [...tables.filter(Boolean), wrap(FOOTER, Math.min(width, MEASURE))].join("\n\n");
}

function row({ name, where, models, summary }: OrganismEntry): string[] {
  const variants = models.reduce((sum, model) => sum + model.variants.length, 0);
  const places = models.length === 1 ? "1 model" : `${models.length} models`;
  return [name, where === "embedded" ? where : places, String(variants), summary];
}

/** One organism in full. Hub ids are never cut, however narrow the terminal. */
export function formatOrganism(entry: OrganismEntry, width: number): string {
  const measure = Math.min(width, MEASURE);
  const { name, where, family, description, keyFacts, notes, models } = entry;
  const place = where === "embedded" ? "ships with the program" : "on the Hugging Face Hub";
  return [
    `${name} (${place})`,
    FAMILY_TITLES[family],
    "",
    wrap(description, measure),
    "",
    "Key facts",
    ...keyFacts.map((fact) => item(fact, measure)),
    "",
    item(`Texts: ${textsOf(entry)}`, measure, ""),
    ...notes.map((note) => item(`Note: ${note}`, measure, "")),
    "",
    "Models",
    ...models.flatMap((model) => modelLines(model, width)),
    ...legend(models, measure),
    ...commandLines(entry),
  ].join("\n");
}

/** Wrapped, with the lines after the first set in. */
function item(text: string, width: number, bullet = "  - "): string {
  const indent = " ".repeat(bullet.length || 2);
  return bullet + wrap(text, width - indent.length).replaceAll("\n", `\n${indent}`);
}

function textsOf({ finetuningTexts, finetuningColumn, dataset, where }: OrganismEntry): string {
  if (where === "embedded") return "embedded";
  if (finetuningTexts === undefined) {
    return dataset === undefined ? "none known" : `${dataset}, not public`;
  }
  return finetuningColumn ? `${finetuningTexts} (column ${finetuningColumn})` : finetuningTexts;
}

function modelLines({ name, base, note, variants }: OrganismModel, width: number): string[] {
  const wide = Math.max(...variants.map((variant) => variant.name.length));
  const kindOf = ({ kind }: Variant) => kind === "checkpoint" ? " (checkpoint)" : "";
  const rows = variants.map((one) => `    ${one.name.padEnd(wide)}  ${one.ref}${kindOf(one)}`);
  const lines = rows.every((line) => displayWidth(line) <= width)
    ? rows
    : variants.map((one) => `    ${one.name}${kindOf(one)}\n      ${one.ref}`);
  return [`  ${name}  ${base}`, ...(note ? [`    (${note})`] : []), ...lines];
}

/** What the variants' names mean. */
function legend(models: readonly OrganismModel[], width: number): string[] {
  const names = new Set(models.flatMap(({ variants }) => variants.map(({ name }) => name)));
  const lines = [...names].flatMap((name, at, all) => {
    const meaning = name === "default" ? undefined : describeVariant(name);
    if (meaning === undefined) return [];
    // A scale of mixes is understood from its first.
    const isMix = (other: string) => other.startsWith("mix1-");
    if (isMix(name) && all.findIndex(isMix) < at) return [];
    const more = isMix(name) && all.filter(isMix).length > 1 ? ", and so on" : "";
    return [item(`${name}: ${meaning}${more}`, width)];
  });
  return lines.length === 0 ? [] : ["", "Variants", ...lines];
}

/** A command line that works, on the model that most organisms are on or the first that can be run. */
function commandLines({ name, where, models }: OrganismEntry): string[] {
  const title = ["", "To read it"];
  if (where === "embedded") return [...title, `  deno task diff --organism ${name}`];
  const runnable = models.filter(({ note }) => note === undefined);
  const model = runnable.find((one) => one.name === "qwen3_1_7B") ?? runnable[0];
  if (model === undefined) return [];
  const plain = model.variants.find((variant) => variant.name === "default");
  const variant = plain ? "" : ` --variant ${model.variants[0].name}`;
  return [...title, `  deno task diff --organism ${name} --model ${model.name}${variant}`];
}
