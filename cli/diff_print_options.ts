/** What `deno task diff` prints of spectrum, stability and interpolation. */

import type { LayerResult } from "../lens/run_diff.ts";
import type { InterpolationResult } from "../lens/run_interpolation.ts";
import type { Spectrum } from "../lens/spectrum.ts";
import { ENOUGH_COSINE, ENOUGH_OVERLAP, type Stability } from "../lens/stability.ts";
import { formatTable } from "./table.ts";
import { percent, tokenList } from "./token_list.ts";
import { wrap } from "./wrap.ts";

/** Places in which a row of a table is told from the next. */
const PLACE = [
  { title: "layer", align: "right" as const, minWidth: 5 },
  { title: "position", align: "right" as const, minWidth: 8 },
];
const number = (title: string) => ({ title, align: "right" as const, minWidth: title.length });

/** Every position, or the one that is to be shown. */
function at<P extends { position: number }>(positions: readonly P[], only?: number): readonly P[] {
  return only === undefined ? positions : positions.filter(({ position }) => position === only);
}

/** The table of the spectra, of all positions or of one; nothing where none were asked for. */
export function spectrumLines(
  results: readonly LayerResult[],
  only?: number,
): string | undefined {
  const taken = results.flatMap(({ spectrum }) => spectrum ?? []);
  if (taken.length === 0) return undefined;
  const columns = [
    ...PLACE,
    number("mean's share"),
    number("50%"),
    number("90%"),
    number("99%"),
    number("50% rest"),
    number("90% rest"),
    number("99% rest"),
  ];
  const counts = ({ directions }: Spectrum["centred"]) =>
    [directions[50], directions[90], directions[99]].map(String);
  const rows = taken.flatMap(({ layer, positions }) =>
    at(positions, only).map(({ position, mean_share, uncentred, centred }) => [
      String(layer),
      String(position),
      percent(mean_share),
      ...counts(uncentred),
      ...counts(centred),
    ])
  );
  const title =
    `Spectrum of ${
      taken[0].documents
    } documents' own differences: the share of the energy that their mean has, ` +
    "and how many directions carry 50, 90 and 99 % of it; of the rest, when the mean is taken away";
  return `${wrap(title)}\n${formatTable(columns, rows)}`;
}

/** Tokens of which the ranks are shown. */
const RANKED_TOKENS = 6;

/** The table of what the bootstrap says, of all positions or of one; nothing where it was not asked for. */
export function stabilityLines(
  results: readonly LayerResult[],
  only?: number,
): string | undefined {
  const taken = results.flatMap(({ stability }) => stability ?? []);
  if (taken.length === 0) return undefined;
  const columns = [
    ...PLACE,
    number("cosine"),
    number("at worst"),
    number("|d|/|h|"),
    { title: "top tokens, 90% of ranks", minWidth: 30 },
    number("enough"),
    number("for tokens"),
  ];
  const rows = taken.flatMap(({ layer, positions }) =>
    at(positions, only).map((
      { position, cosine, relative_norm: { low, high }, tokens, enough },
    ) => [
      String(layer),
      String(position),
      cosine.mean.toFixed(3),
      cosine.low.toFixed(3),
      `${low.toFixed(3)}-${high.toFixed(3)}`,
      tokens.slice(0, RANKED_TOKENS).map(rankedToken).join(" "),
      String(enough.cosine ?? "more"),
      String(enough.tokens ?? "more"),
    ])
  );
  // Where nothing differs there is nothing to draw.
  if (rows.length === 0) return undefined;
  const [{ documents, of_documents, draws }] = taken;
  const few = documents < of_documents ? ` (of ${of_documents})` : "";
  const title =
    `Stability over ${draws} draws of ${documents}${few} documents: the cosine of a draw's mean with the mean, ` +
    `its 5th percentile, and how many documents would have been enough for a cosine of ${ENOUGH_COSINE} and for ` +
    `${ENOUGH_OVERLAP} of the top 20 tokens`;
  return `${wrap(title)}\n${formatTable(columns, rows)}`;
}

function rankedToken(token: Stability["tokens"][number]): string {
  const rank = (value: number | null) => value === null ? ">100" : String(value);
  const { low, high } = token.rank;
  const range = low === high ? rank(low) : `${rank(low)}-${rank(high)}`;
  return `${tokenList([token], 1)}:${range}`;
}

const LINE_TOKENS = 5;

/** The table of the models between the base and the finetuned one, at all positions or at one. */
export function interpolationLines(
  { documents, layers }: InterpolationResult,
  only?: number,
): string {
  const columns = [
    ...PLACE,
    number("strength"),
    number("|d|"),
    number("of full"),
    number("cosine"),
    number("off line"),
    { title: "logit lens", minWidth: 30 },
  ];
  const rows = layers.flatMap(({ layer, positions }) =>
    at(positions, only).flatMap(({ position, points }) =>
      points.map(({ strength, norm, relative_norm, cosine, off_line, top }) => [
        String(layer),
        String(position),
        String(strength),
        norm.toPrecision(3),
        relative_norm === null ? "-" : relative_norm.toFixed(3),
        cosine.toFixed(3),
        percent(off_line),
        norm === 0 ? "no difference" : tokenList(top, LINE_TOKENS),
      ])
    )
  );
  const title =
    `Models between the two, mean over ${documents} ${
      documents === 1 ? "document" : "documents"
    }: the difference's norm, its ratio and cosine to the ` +
    "finetuned model's, and how far it is off the straight line to that (0 % is linear)";
  return `${wrap(title)}\n${formatTable(columns, rows)}`;
}
