/** Files of steered and unsteered texts, as `deno task steer` writes them. */

import { z } from "zod";
import { TextError, UsageError } from "../../engine/errors.ts";
import { parseSchema, wholeNumber } from "../../engine/schema.ts";
import { brief } from "../../engine/weights/names.ts";
import { readLines, readWhole, type TextPath } from "../text_lines.ts";

/** Texts that were written with a difference added at one layer, and those without. */
export interface SteeringSamples {
  /** Of the layer and of the position whose difference was added, where the file says. */
  layer?: number;
  position?: number;
  steered: string[];
  unsteered: string[];
}

/** Which of a file's samples are wanted; needed where it has those of several layers or positions. */
export interface SampleChoice {
  layer?: number;
  position?: number;
}

/** A JSON value is parsed as a whole. */
const MAX_JSON_BYTES = 256 * 2 ** 20;

const Place = {
  layer: wholeNumber(0, 1e6).nullish(),
  position: wholeNumber(-1e6, 1e6).nullish(),
};
const Texts = z.array(z.string("expected a text"), "expected a list of texts");
const Sample = z.object({ ...Place, steered: Texts, unsteered: Texts });
const Group = z.object({ ...Place, samples: z.array(Sample, "expected a list of samples") });

/**
 * Reads steered and unsteered texts: an object `{layer, position, samples: [{steered: [text], unsteered: [text]}]}`, or a
 * list of such objects; in a `.jsonl` file one object a line, which may also be a sample by itself. Other keys are left aside.
 *
 * @throws {TextError} if the file cannot be read, is not JSON, or has something else in it
 * @throws {UsageError} if it has samples of several layers or positions and the choice leaves open which, or none of the chosen
 */
export async function readSamples(
  path: string,
  choice: SampleChoice = {},
): Promise<SteeringSamples> {
  const groups = new Map<string, SteeringSamples>();
  for await (const { value, where } of values({ path, name: path, gzip: false })) {
    for (const sample of samplesOf(value, where)) {
      const layer = sample.layer ?? undefined;
      const position = sample.position ?? undefined;
      if (choice.layer !== undefined && layer !== choice.layer) continue;
      if (choice.position !== undefined && position !== choice.position) continue;
      const key = `${layer},${position}`;
      const group = groups.get(key) ?? { layer, position, steered: [], unsteered: [] };
      groups.set(key, group);
      for (const text of sample.steered) group.steered.push(text);
      for (const text of sample.unsteered) group.unsteered.push(text);
    }
  }
  const [group, other] = groups.values();
  if (group && !other) return group;
  const called = ({ layer, position }: SampleChoice) =>
    [layer !== undefined && `layer ${layer}`, position !== undefined && `position ${position}`]
      .filter(Boolean).join(", ") || "no place";
  if (!group) {
    const chosen = called(choice);
    throw new UsageError(
      `Cannot compare samples: "${path}" has none${chosen === "no place" ? "" : ` of ${chosen}`}`,
    );
  }
  const all = [...groups.values()].slice(0, 20).map(called).join("; ");
  throw new UsageError(
    `Cannot compare samples: "${path}" has those of several places (${all}); choose with --layer and --position`,
  );
}

/** The file's JSON values: one a line of a `.jsonl` file, else one. */
async function* values(file: TextPath): AsyncGenerator<{ value: unknown; where: string }> {
  if (!/\.(?:jsonl|ndjson)$/i.test(file.name)) {
    const json = await readWhole(file, MAX_JSON_BYTES, () => {});
    yield { value: parsed(json, `"${file.name}"`), where: `"${file.name}"` };
    return;
  }
  let number = 0;
  for await (const line of readLines(file, () => {})) {
    number++;
    const where = `line ${number} of "${file.name}"`;
    if (line.trim() !== "") yield { value: parsed(line, where), where };
  }
}

function parsed(json: string, where: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new TextError(`Cannot read samples: ${where} is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The samples of a value, each with the place that it was steered at. */
function samplesOf(value: unknown, where: string): z.infer<typeof Sample>[] {
  const fail = (problem: string) => new TextError(`Cannot read samples: ${where} ${problem}`);
  if (Array.isArray(value)) {
    return value.flatMap((one, i) => {
      if (Array.isArray(one)) throw fail(`has ${brief(one)} at ${i}, expected an object`);
      return samplesOf(one, `object ${i} of ${where}`);
    });
  }
  const isSample = typeof value === "object" && value !== null && "steered" in value;
  if (isSample) return [parseSchema(Sample, value, fail)];
  const { samples, ...place } = parseSchema(Group, value, fail);
  return samples.map((sample) => ({
    ...sample,
    layer: sample.layer ?? place.layer,
    position: sample.position ?? place.position,
  }));
}
