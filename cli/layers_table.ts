/** Many layers at a glance: one line for each. */

import type { LayerResult } from "../lens/run_diff.ts";
import { formatTable } from "./table.ts";
import { percent, tokenList } from "./token_list.ts";

/** The position whose tokens are shown, where it was read; else the first that was. */
const SHOWN_POSITION = 1;
const TOKENS = 4;

/** The one position of which many layers are shown. */
export function shownPosition([{ positions }]: readonly LayerResult[]): number {
  const read = positions.map(({ position }) => position);
  return read.includes(SHOWN_POSITION) ? SHOWN_POSITION : read[0];
}

/** The table of every layer, with a line that says where the rest is. */
export function layersTable(results: readonly LayerResult[]): string {
  const shown = shownPosition(results);
  const hasRelevance = results.some(({ relevance }) => relevance);
  const columns = [
    { title: "layer", align: "right" as const, minWidth: 5 },
    { title: "|d|/|h|", align: "right" as const, minWidth: 7 },
    { title: `logit lens at ${shown}`, minWidth: 24 },
    { title: `Patchscope at ${shown}`, minWidth: 24 },
    ...(hasRelevance
      ? [
        { title: "relevance", align: "right" as const, minWidth: 9 },
        { title: "most of a null", align: "right" as const, minWidth: 14 },
      ]
      : []),
  ];
  const rows = results.map(({ layer, positions, relevance }) => {
    const at = positions.find(({ position }) => position === shown)!;
    const lens = at.logit_lens.difference;
    const scope = at.patchscope.difference;
    const mean = positions.reduce((sum, one) => sum + one.relative_norm, 0) / positions.length;
    return [
      String(layer),
      mean.toFixed(3),
      lens ? tokenList(lens.top, TOKENS) : "no difference",
      scope ? tokenList(scope.tokens, TOKENS, new Set(scope.coherent)) : "",
      ...(relevance
        ? [
          percent(relevance.difference),
          percent(Math.max(relevance.random, relevance.sibling ?? 0)),
        ]
        : []),
    ];
  });
  const note = "|d|/|h| and relevance are means over the positions; " +
    `every layer in full: readout_N.json for N = ${results[0].layer} … ${results.at(-1)!.layer}`;
  return `${formatTable(columns, rows)}\n${note}`;
}
