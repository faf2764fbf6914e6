/** Changes of results that leave every hash right, as somebody would make them who wants to be believed. */

import { assert, assertEquals } from "@std/assert";
import { writeReport } from "../lens/report/report_step.ts";
import { RunFolder } from "../lens/results/run_folder.ts";
import { verifyRun } from "../lens/verify/verify.ts";

/** A file of a run. */
export interface ForgedFile {
  /** The folder within the run; empty for the outermost. */
  part: string;
  file: string;
  /** The step whose file it is. */
  step: string;
}

/** Changes a JSON file and puts it into the manifest as if it had always been so; where there is a report, it is made of that. */
export async function forge(
  path: string,
  { part, file, step }: ForgedFile,
  // deno-lint-ignore no-explicit-any
  change: (value: any) => void,
): Promise<void> {
  const at = part === "" ? path : `${path}/${part}`;
  const read = async (name: string) => JSON.parse(await Deno.readTextFile(`${at}/${name}`));
  {
    using folder = await RunFolder.open(at, { fingerprint: await read("fingerprint.json") });
    const value = await read(file);
    change(value);
    const { files, ...fields } = folder.step(step)!;
    for (const name of Object.keys(files)) {
      await folder.writeBytes(name, await Deno.readFile(`${at}/${name}`));
    }
    await folder.writeJson(file, value);
    await folder.finish(step, fields);
  }
  if (await exists(`${path}/report.html`)) await writeReport(path);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** The report of a run that has no problems. */
export async function reportOf(path: string): Promise<string> {
  const html = await Deno.readTextFile(await writeReport(path));
  assertEquals((await verifyRun(path)).problems, []);
  assert(!/NaN|undefined|\[object/.test(html), "every value is one");
  return html;
}

/** Forges a file and puts it back: the change has to be found, and the file named. */
export async function assertFound(
  path: string,
  where: ForgedFile,
  // deno-lint-ignore no-explicit-any
  change: (value: any) => void,
): Promise<void> {
  const name = where.part === "" ? where.file : `${where.part}/${where.file}`;
  const before = JSON.parse(await Deno.readTextFile(`${path}/${name}`));
  await forge(path, where, change);
  const { problems } = await verifyRun(path);
  assert(problems.some(({ file }) => file === name), `${name}: ${JSON.stringify(problems)}`);
  await forge(path, where, (value) => {
    if (Array.isArray(value)) value.length = 0;
    for (const key of Object.keys(value)) delete value[key];
    Object.assign(value, before);
  });
  assertEquals((await verifyRun(path)).problems, []);
}
