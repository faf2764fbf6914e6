/** `deno task audit --compare`: where two audits part. */

import { AUDIT_FORMAT, type AuditDocument, compareKernels } from "../engine/audit/document.ts";
import { compareSums, type SumsComparison } from "../engine/audit/layer_sums.ts";
import { ResultsError } from "../engine/errors.ts";
import { adapterName } from "../engine/gpu/profile.ts";
import { formatTable } from "./table.ts";
import { visible } from "./visible.ts";

/** Reads an audit that somebody else may have made: whatever is not one is refused. */
export async function readAudit(path: string): Promise<AuditDocument> {
  const fail = (why: string) => new ResultsError(`Cannot read the audit "${path}": ${why}`);
  let value: AuditDocument;
  try {
    value = JSON.parse(await Deno.readTextFile(path));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) throw fail("there is no such file");
    throw fail(cause instanceof SyntaxError ? "it is not JSON" : String(cause));
  }
  if (value?.format !== AUDIT_FORMAT) {
    throw fail(`its format is ${visible(String(value?.format).slice(0, 20))}, not ${AUDIT_FORMAT}`);
  }
  const isText = (x: unknown) => typeof x === "string";
  const good = typeof value.checksums === "object" && value.checksums !== null &&
    Object.values(value.checksums).every(isText) && Array.isArray(value.kernels) &&
    value.kernels.every((k) => isText(k?.name) && isText(k?.sha256)) &&
    Array.isArray(value.models) &&
    value.models.every((m) =>
      isText(m?.model) && isText(m?.argmax) && Array.isArray(m?.layers) &&
      m.layers.every((l) => isText(l?.hook) && isText(l?.sha256) && isText(l?.values))
    ) && isText(value.backend) && typeof value.adapter === "object" && value.adapter !== null;
  if (!good) throw fail("fields are missing or malformed");
  return value;
}

/** Compares two audits and prints where they part; 1 where they do. */
export async function compareAudits(paths: readonly string[], json: boolean): Promise<number> {
  const [a, b] = await Promise.all(paths.map(readAudit));
  const kernels = compareKernels(a, b);
  const models = a.models.flatMap((sums) => {
    const other = b.models.find(({ model }) => model === sums.model);
    return other ? [compareSums(sums, other)] : [];
  });
  const same = kernels.firstKernel === null && models.every(({ parts }) => parts === null);
  if (json) console.log(JSON.stringify({ same, kernels, models }));
  else {console.log(
      [header(a, b), ...kernelLines(kernels), ...models.flatMap(modelLines)].join("\n"),
    );}
  return same ? 0 : 1;
}

function header(...audits: AuditDocument[]): string {
  return audits.map(({ backend, adapter, date }) =>
    visible(`${backend}, ${adapterName(adapter)} (${date})`)
  ).join("\n");
}

function kernelLines(found: ReturnType<typeof compareKernels>): string[] {
  const { compared, different, firstKernel, kernels, otherSources } = found;
  const lines = ["", `Kernels: ${different.length} of ${compared} results have other bits`];
  if (otherSources.length > 0) {
    lines.push(`The audits are of different sources: ${otherSources.map(visible).join(", ")}`);
  }
  if (firstKernel === null) return lines;
  lines.push(`The first kernel that parts: ${visible(firstKernel)}`, "");
  lines.push(formatTable(
    [{ title: "op" }, { title: "different", align: "right" }, {
      title: "compared",
      align: "right",
    }],
    kernels.map(({ op, different, compared }) => [op, String(different), String(compared)]),
  ));
  return lines;
}

function modelLines({ model, layers, parts, tokens, agree }: SumsComparison): string[] {
  const lines = ["", `${visible(model)}: the first layer that parts: ${visible(parts ?? "none")}`];
  if (parts !== null) {
    lines.push(formatTable(
      [{ title: "hook" }, { title: "bits" }, { title: "relative L2", align: "right" }],
      layers.map(({ hook, same, relativeL2 }) => [
        hook,
        same ? "same" : "other",
        relativeL2.toExponential(1),
      ]),
    ));
  }
  lines.push(`The likeliest token is the same at ${agree} of ${tokens} positions`);
  return lines;
}
