/** The report of a whole run, and what deno task verify says of it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderComparison } from "../lens/report/compare.ts";
import { renderRun } from "../lens/report/render.ts";
import { writeReport } from "../lens/report/report_step.ts";
import { readRun } from "../lens/report/run_results.ts";
import { verifyRun } from "../lens/verify/verify.ts";
import { assertFound } from "./forge.ts";
import { PLAIN_TEXTS, writeRun } from "./report_fixture.ts";

async function withRun(run: (path: string) => Promise<void>, report = true): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "palimpsest_report_" });
  try {
    await writeRun(`${folder}/run`, PLAIN_TEXTS, report);
    await run(`${folder}/run`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Every file of a run but its locks, by their paths within it. */
async function filesOf(path: string, name = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(`${path}/${name}`)) {
    if (entry.isDirectory) files.push(...await filesOf(path, `${name}${entry.name}/`));
    else if (entry.name !== ".lock") files.push(name + entry.name);
  }
  return files.sort();
}

Deno.test("the report has every section of a whole run, in the same bytes every time", () =>
  withRun(async (path) => {
    const html = await Deno.readTextFile(`${path}/report.html`);
    assertEquals(renderRun(await readRun(path)), html);
    const sections = ["compared", "norms", "readouts", "relevance", "scales", "steering"];
    for (const id of [...sections, "similarity", "causal", "absent", "manifest"]) {
      assertStringIncludes(html, `<section id="${id}"`);
    }
    for (const id of ["spectrum", "mixing", "agents"]) {
      assert(!html.includes(`<section id="${id}"`), id);
    }
    assertStringIncludes(html, "deno task diff --spectrum");
    assertStringIncludes(html, "<mark>");
    // Every figure says in words what it shows, every table has a caption.
    const count = (text: RegExp) => html.match(text)?.length ?? 0;
    assertEquals(
      count(/<svg[^>]*class="chart"/g),
      count(/<svg role="img" aria-label="[^"]+"/g),
    );
    assertEquals(count(/<table/g), count(/<caption>/g));
    assert(!/NaN|undefined|\[object/.test(html), "every value is one");
    assert(!/<script|javascript:|<link|<img|<iframe|\son\w+=/.test(html), "nothing runs or loads");
    assert(!/\sstyle="/.test(html), "the policy forbids inline styles");

    const before = await Deno.readTextFile(`${path}/manifest.json`);
    await writeReport(path);
    assertEquals(await Deno.readTextFile(`${path}/manifest.json`), before, "nothing to be done");
    await Deno.remove(`${path}/report.html`);
    await writeReport(path);
    assertEquals(await Deno.readTextFile(`${path}/report.html`), html);
    assertEquals(await Deno.readTextFile(`${path}/manifest.json`), before);
  }));

Deno.test("a part alone has a report of what is in it", () =>
  withRun(async (path) => {
    for (
      const [part, there, absent] of [["diff", "readouts", "causal"], ["causal", "causal", "norms"]]
    ) {
      const html = await Deno.readTextFile(await writeReport(`${path}/${part}`));
      assertStringIncludes(html, `<section id="${there}"`);
      assert(!html.includes(`<section id="${absent}"`));
      assertEquals((await verifyRun(`${path}/${part}`)).problems, []);
    }
    const { problems } = await verifyRun(path);
    assertEquals(problems.map(({ file }) => file), ["causal/manifest.json", "diff/manifest.json"]);
    await writeReport(path);
    assertEquals((await verifyRun(path)).problems, [], "the report is made of what there is now");
  }));

Deno.test("runs are compared side by side, with what differs in their inputs", () =>
  withRun(async (path) => {
    await writeRun(`${path}_b`, { ...PLAIN_TEXTS, name: "other", token: " stone" });
    const runs = [await readRun(path), await readRun(`${path}_b`)];
    const html = renderComparison(runs);
    assertEquals(renderComparison(runs), html);
    assertStringIncludes(html, "diff.finetuned.name");
    assert(!html.includes("<code>diff.base.name"), "what is the same is not listed");
    for (const id of ["runs", "inputs", "norms", "readouts", "relevance", "similarity", "causal"]) {
      assertStringIncludes(html, `<section id="${id}"`);
    }
    assert(!/NaN|undefined|\[object/.test(html));
    assertStringIncludes(renderComparison([runs[0], runs[0]]), "inputs and flags are the same");
  }));

Deno.test("verify: a run as it was written has no problems", () =>
  withRun(async (path) => {
    const found = await verifyRun(path);
    assertEquals(found.problems, []);
    assertEquals([found.files, found.report], [(await filesOf(path)).length, true]);
    assert(found.numbers > 500, `${found.numbers}`);
    assertEquals(found.digest, JSON.parse(await Deno.readTextFile(`${path}/manifest.json`)).digest);
  }));

Deno.test("verify: one changed byte of any file is found, and the file is named", () =>
  withRun(async (path) => {
    for (const file of await filesOf(path)) {
      const bytes = await Deno.readFile(`${path}/${file}`);
      // At both ends and in the middle; a flipped bit may be a letter, a digit or no text at all.
      for (const [at, bit] of [[0, 1], [bytes.length >> 1, 1], [bytes.length - 1, 128]]) {
        const changed = bytes.slice();
        changed[at] ^= bit;
        await Deno.writeFile(`${path}/${file}`, changed);
        const { problems } = await verifyRun(path);
        assert(problems.some((problem) => problem.file === file), `${file} at ${at}`);
      }
      await Deno.writeFile(`${path}/${file}`, bytes);
    }
    assertEquals((await verifyRun(path)).problems, []);
  }));

Deno.test("verify: what is missing, unfinished or not listed is named", () =>
  withRun(async (path) => {
    const named = async () => (await verifyRun(path)).problems.map(({ file }) => file);
    await Deno.writeTextFile(`${path}/notes.txt`, "mine");
    await Deno.writeTextFile(`${path}/diff/.pending.json`, "[]");
    await Deno.rename(`${path}/steer/steer_2_1.json`, `${path}/steer_2_1.json`);
    assertEquals(await named(), [
      "diff/.pending.json",
      "notes.txt",
      "steer/steer_2_1.json",
      "steer_2_1.json",
    ]);
    await Deno.remove(`${path}/causal`, { recursive: true });
    assert((await named()).includes("causal/manifest.json"), "a part that is gone");
  }));

Deno.test("verify: a number that does not follow is found though every hash is right", async (t) => {
  const forgeries: [Parameters<typeof assertFound>[1], Parameters<typeof assertFound>[2]][] = [
    [{ part: "diff", file: "readout_2.json", step: "readout_2" }, (v) => v.typical_norm += 1e-3],
    [
      { part: "diff", file: "readout_2.json", step: "readout_2" },
      (v) => v.positions[1].relative_norm *= 1.01,
    ],
    [
      { part: "diff", file: "readout_2.json", step: "readout_2" },
      (v) => v.positions[1].patchscope.difference.scale = 200,
    ],
    [{ part: "diff", file: "relevance.json", step: "relevance" }, (v) => v[0].difference += 0.05],
    [
      { part: "diff", file: "graded_relevance_2.json", step: "graded_relevance_2" },
      (v) => v.patchscope.random.share = 0,
    ],
    [
      { part: "diff", file: "graded_lists_2.json", step: "graded_relevance_2" },
      (v) => v[0].relevant[0] = !v[0].relevant[0],
    ],
    [{ part: "steer", file: "steer_2_1.json", step: "steer_2_1" }, (v) => v.alpha += 1],
    [
      { part: "steer", file: "steer_2_1.json", step: "steer_2_1" },
      (v) => v.searches[0].rounds[0].coherent[6] = 0.3,
    ],
    [
      { part: "causal", file: "causal_2_base.json", step: "causal_2_base" },
      (v) => v.positions[0].sets.generic.change_interval.low -= 0.01,
    ],
    [
      { part: "causal", file: "causal_2_base.json", step: "causal_2_base" },
      (v) => v.positions[0].delta_norm += 0.01,
    ],
    [
      { part: "", file: "similarity.json", step: "similarity" },
      (v) => v.positions[0].steered += 0.01,
    ],
    [
      { part: "", file: "similarity_kept.json", step: "similarity" },
      (v) => v[0].finetuning[0] = "something else",
    ],
    [{ part: "", file: "summary.json", step: "summary" }, (v) => v.positions[0].delta_norm += 0.01],
  ];
  // Of a report, every one of them would have to be made anew.
  await withRun(async (path) => {
    for (const [where, change] of forgeries) {
      await t.step(`${where.part}/${where.file} ${change}`, () => assertFound(path, where, change));
    }
  }, false);
});
