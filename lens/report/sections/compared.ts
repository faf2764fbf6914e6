/** What was compared: models, texts, layers, and with what. */

import { counted, shortHash } from "../format.ts";
import { type Html, html, type HtmlValue, joined } from "../html.ts";
import type { RunResults } from "../run_results.ts";
import { facts } from "../table.ts";

/** A model's files as the fingerprint has them. */
interface Identity {
  name?: string;
  revision?: string;
  files?: Record<string, string>;
}

/** The facts, from the fingerprint of the comparison (or of the first command that there is). */
export function comparedSection(run: RunResults): Html {
  const part = run.diff?.part ?? run.parts.find(({ command }) => command !== "run") ?? run.parts[0];
  const said = part.manifest.fingerprint as Record<string, never>;
  const { base, finetuned, sibling, texts, adapter, backend } = said as {
    base?: Identity;
    finetuned?: Identity;
    sibling?: Identity | null;
    texts?: Record<string, string>;
    adapter?: { description?: string; device?: string };
    backend?: string;
  };
  const entries: [HtmlValue, HtmlValue][] = [];
  const add = (name: string, value: HtmlValue) => entries.push([name, value]);
  if (base) add("Base model", model(base));
  if (finetuned) add("Finetuned", model(finetuned));
  if (sibling) {
    add(
      "Sibling",
      html`${model(sibling)}<br>another finetune of the base: a null that was trained, too`,
    );
  }
  if (texts) {
    add(
      "Texts",
      joined(
        Object.entries(texts).map(([role, hash]) =>
          html`${ROLES[role.replace(/_\d+$/, "")] ?? role} <code>${shortHash(String(hash))}</code>`
        ),
        html`<br>`,
      ),
    );
  }
  if (run.diff) {
    const { diff } = run;
    const { tokens, chat } = said as { tokens?: number; chat?: boolean };
    add(
      chat ? "Chats" : "Documents",
      html`${counted(diff.documents, chat ? "chat" : "document")}${
        tokens === undefined ? "" : `, ${tokens} tokens of each`
      }`,
    );
    add("Layers", diff.layers.map(({ layer }) => layer).join(", "));
    add("Positions read", diff.layers[0].readout?.positions.map((at) => at.position).join(", "));
  }
  const { seed, version } = said as { seed?: number; version?: string };
  if (seed !== undefined) add("Seed", seed);
  if (adapter) add("Adapter", `${adapter.description || adapter.device || "unnamed"} (${backend})`);
  const { precision } = said as { precision?: string };
  if (precision === "fast") {
    add("Precision", "fast: products of numbers rounded to f16, all sums in f32");
  }
  if (version) add("palimpsest", version);
  return facts(entries);
}

const ROLES: Record<string, string> = {
  text: "unrelated text",
  finetuning_text: "the finetuning's texts",
  finetuning: "the finetuning's texts",
  generic: "generic texts",
};

function model({ name, revision, files = {} }: Identity): Html {
  const weights = Object.entries(files).filter(([file]) => file.endsWith(".safetensors"));
  const hashes = weights.slice(0, 4).map(([file, hash]) =>
    html`<br><span class="quiet">${file}</span> <code>${shortHash(String(hash))}</code>`
  );
  const more = weights.length > 4 && html`<br>and ${weights.length - 4} more`;
  return html`<strong>${name ?? "unnamed"}</strong>${
    revision && html`
      @ <code>${shortHash(revision)}</code>
    `
  }${hashes}${more}`;
}
