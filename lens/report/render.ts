/** From a run's results to its page. */

import { counted } from "./format.ts";
import { type Html, html } from "./html.ts";
import { lead } from "./lead.ts";
import { page, type Section } from "./page.ts";
import type { RunResults } from "./run_results.ts";
import { agentsSection, summariserSection } from "./sections/agents.ts";
import { causalSection } from "./sections/causal.ts";
import { comparedSection } from "./sections/compared.ts";
import { manifestSection } from "./sections/manifest.ts";
import { mixingSection } from "./sections/mixing.ts";
import { normsSection } from "./sections/norms.ts";
import { organismsSection } from "./sections/organisms.ts";
import { readoutSection } from "./sections/readouts.ts";
import { relevanceSection } from "./sections/relevance.ts";
import { interpolationSection, spectrumSection, stabilitySection } from "./sections/robustness.ts";
import { scalesSection } from "./sections/scales.ts";
import { similaritySection } from "./sections/similarity.ts";
import { steeringSection } from "./sections/steering.ts";
import { mainLayer } from "./shown.ts";

/** A section that may be absent, and how to get it then. */
interface Chapter {
  id: string;
  title: string;
  /** Undefined where the results are not there. */
  body?: Html;
  how: string;
}

/** The page of a run; the same results give the same bytes. */
export function renderRun(run: RunResults): string {
  const all = chapters(run);
  const sections = all.flatMap(({ id, title, body }): Section[] =>
    body ? [{ id, title, body }] : []
  );
  // Of several organisms everything else is on their own pages.
  const absent = run.organisms ? [] : all.filter(({ body }) => body === undefined);
  if (absent.length > 0) sections.splice(-1, 0, absentSection(absent));
  return page({ title: titleOf(run), lead: lead(run), sections });
}

/** What was compared, in a few words. */
export function titleOf({ diff, mixing, summary, parts, organisms }: RunResults): string {
  if (diff) return `${diff.finetuned} against ${diff.base}`;
  if (mixing) return `Mixing: ${mixing.organism}`;
  const evaluated = organisms?.grades?.organisms ?? organisms?.summaries;
  if (evaluated) return `Agents on ${counted(evaluated.length, "organism")}`;
  if (summary) return `${summary.finetuned} against ${summary.base}`;
  return nameIn(parts[0].said("finetuned")) ?? "A run of palimpsest";
}

function nameIn(model: unknown): string | undefined {
  const name = (model as { name?: unknown } | undefined)?.name;
  return typeof name === "string" ? name : undefined;
}

function chapters(run: RunResults): Chapter[] {
  const { diff, steering, similarity, causal, mixing, agents, organisms } = run;
  const main = mainLayer(run);
  const read = main?.readout;
  const spectra = diff?.layers.flatMap(({ spectrum }) => spectrum ?? []) ?? [];
  const stable = diff?.layers.flatMap(({ stability }) => stability ?? []) ?? [];
  const here = (there: unknown, body: () => Html) => (there ? body() : undefined);
  return [
    {
      id: "compared",
      title: "What was compared",
      body: comparedSection(run),
      how: "",
    },
    {
      id: "norms",
      title: "How long the difference is",
      body: here(diff, () => normsSection(diff!)),
      how: "deno task diff",
    },
    {
      id: "readouts",
      title: "What it says",
      body: here(read, () => readoutSection(run)),
      how: "deno task diff",
    },
    {
      id: "relevance",
      title: "Whether that is about the finetuning",
      body: here(read && (main.graded ?? main.topic), () => relevanceSection(main!)),
      how: "deno task run, or deno task relevance, with the finetuning's texts (--finetuning-text)",
    },
    {
      id: "scales",
      title: "At which scale Patchscope reads",
      body: here(
        read?.positions.some(({ patchscope }) => patchscope.difference),
        () => scalesSection(run),
      ),
      how: "deno task diff",
    },
    {
      id: "steering",
      title: "What it makes the model write",
      body: here(steering.length > 0, () => steeringSection(run)),
      how: "deno task run without --no-steer",
    },
    {
      id: "similarity",
      title: "Whether that is like the finetuning's texts",
      body: here(similarity.length > 0, () => similaritySection(similarity)),
      how: "deno task run with steering and the finetuning's texts (--finetuning-text)",
    },
    {
      id: "causal",
      title: "What it does to the losses",
      body: here(causal.length > 0, () => causalSection(causal)),
      how: "deno task run without --no-causal, with the finetuning's texts (--finetuning-text)",
    },
    {
      id: "spectrum",
      title: "In how many directions documents differ",
      body: here(spectra.length > 0, () => spectrumSection(spectra)),
      how: "deno task diff --spectrum",
    },
    {
      id: "stability",
      title: "How far it can be trusted",
      body: here(stable.length > 0, () => stabilitySection(stable)),
      how: "deno task diff --stability",
    },
    {
      id: "interpolation",
      title: "Between the two models",
      body: here(diff?.interpolation, () => interpolationSection(diff!.interpolation!)),
      how: "deno task diff --interpolate",
    },
    {
      id: "mixing",
      title: "When generic texts are mixed in",
      body: here(mixing, () => mixingSection(mixing!)),
      how: "deno task mixing, which has a folder of its own",
    },
    {
      id: "agents",
      title: "What an agent makes of it",
      body: here(agents.evaluation ?? agents.runs[0], () => agentsSection(agents)),
      how: "deno task agent with --llm-url and --llm-model",
    },
    {
      id: "summariser",
      title: "How much of the truth the evidence holds",
      body: here(agents.summariser, () => summariserSection(agents.summariser!)),
      how: "deno task agent",
    },
    {
      id: "organisms",
      title: "On several organisms",
      body: here(organisms, () => organismsSection(organisms!)),
      how: "deno task evaluate, which has a folder of its own",
    },
    {
      id: "manifest",
      title: "The manifest",
      body: manifestSection(run.parts),
      how: "",
    },
  ];
}

function absentSection(absent: readonly Chapter[]): Section {
  const body = html`<p>These results are not in the folder:</p>
<ul>${absent.map(({ title, how }) => html`<li>${title}: <code>${how}</code></li>`)}</ul>`;
  return { id: "absent", title: "What is not here", body };
}
