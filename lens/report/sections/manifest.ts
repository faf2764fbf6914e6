/** With what the results were made, and the hash of every file. */

import type { JsonValue } from "../../results/stable_json.ts";
import { cutText, type Html, html, joined } from "../html.ts";
import { type PartFiles, REPORT_STEP, within } from "../run_files.ts";
import { facts, folded, table } from "../table.ts";

/** Of a long setting, such as a list of prompts, so many characters are shown. */
const MOST_CHARACTERS = 400;

/** Every part of the run. The report's own entry is left out: it would have to know its own hash. */
export function manifestSection(parts: readonly PartFiles[]): Html {
  return html`
    <p>Every file with its SHA-256, and the flags, kernels and versions that made it. <code>deno task verify</code> checks the hashes, derives the
    numbers of this page again and compares the page with a new one, without a GPU.</p>
    ${parts.map(partManifest)}
  `;
}

function partManifest(part: PartFiles): Html {
  const { fingerprint, steps } = part.manifest;
  const shown = Object.entries(steps).filter(([step]) => step !== REPORT_STEP);
  const files = shown.flatMap(([step, { files }]) =>
    Object.entries(files).map(([name, { bytes, sha256 }]) => [
      within(part, name),
      step,
      bytes.toLocaleString("en"),
      html`<code class="hash">${sha256}</code>`,
    ])
  ).sort(([a], [b]) => String(a) < String(b) ? -1 : 1);
  const title = part.name === "" ? "The run" : `The part ${part.name}`;
  return html`<h3>${title}</h3>
${table("Files", ["file", "step", "bytes", "SHA-256"], files)}
${folded("Inputs and flags", settings(fingerprint))}
${kernels(part)}
${
    folded(
      "Steps",
      html`${
        // The command line names folders, which the same results elsewhere do not have in common.
        shown.map(([step, { files: _f, kernels: _k, command: _c, ...said }]) =>
          html`<h4>${step}</h4>${settings(said)}`
        )}`,
    )
  }`;
}

function settings(values: Record<string, JsonValue>): Html {
  return facts(
    Object.entries(values).map(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      const { shown, left } = cutText(text, MOST_CHARACTERS);
      return [
        name,
        html`<code>${shown}${left > 0 && "…"}</code>${
          left > 0 && html`
            <em class="cut">[${left.toLocaleString("en")} more characters in manifest.json]</em>
          `
        }`,
      ];
    }),
  );
}

interface Kernel {
  name: string;
  constants: Record<string, number>;
  sha256: string;
}

function kernels({ manifest: { steps } }: PartFiles): Html | false {
  const all = new Map<string, Kernel>();
  for (const { kernels } of Object.values(steps)) {
    for (const kernel of (kernels ?? []) as unknown as Kernel[]) {
      all.set(kernel.name + JSON.stringify(kernel.constants), kernel);
    }
  }
  if (all.size === 0) return false;
  const rows = [...all.entries()].sort(([a], [b]) => a < b ? -1 : 1).map(([, kernel]) => [
    kernel.name,
    joined(Object.entries(kernel.constants).map(([name, value]) => `${name}=${value}`), ", "),
    html`<code class="hash">${kernel.sha256}</code>`,
  ]);
  return folded(
    "Kernels that ran",
    table("Kernels", ["kernel", "constants", "SHA-256 of its source"], rows),
  );
}
