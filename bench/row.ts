/** What a bench prints: rows with a value, what it could be at most, and whether it is what it should be. */

import { formatTable } from "../cli/table.ts";

/** One measured value. */
export interface Row {
  /** Such as `matmul/640x2048x2048` (rows × outputs × inputs) or `prefill/3M`. */
  name: string;
  value: number;
  unit: string;
  /** The most that the same run measured or derived for this unit, where there is such a number. */
  ceiling: number | null;
  /** value / ceiling. */
  share: number | null;
  /** `gpu`: timestamps of the device; `wall`: from the submit to the end of its wait; null for what is counted. */
  timed: "gpu" | "wall" | null;
  /** What the value should be at least (or, with a leading ≤, at most). */
  aim?: string;
  /** Against what the answer was checked before it was timed, or why there is none. */
  note?: string;
}

/** A row whose ceiling may be unknown. */
export function row(
  name: string,
  value: number,
  unit: string,
  { ceiling = null, ...rest }: Partial<Row> = {},
): Row {
  const share = ceiling === null ? null : value / ceiling;
  return { name, value, unit, ceiling, share, timed: null, ...rest };
}

/** Whether a row is what it should be; undefined where nothing is said of it. */
export function reached({ value, aim }: Row): boolean | undefined {
  const [, sign, number] = /^([≤≥]) ?([\d.]+)/.exec(aim ?? "") ?? [];
  if (sign === undefined) return undefined;
  return sign === "≥" ? value >= Number(number) : value <= Number(number);
}

/** Three digits, or all of a whole number's. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}

const percent = (share: number | null) => share === null ? "" : `${(100 * share).toFixed(0)} %`;

function cells(row: Row): string[] {
  const verdict = reached(row);
  const aim = verdict === undefined ? "" : `${row.aim} ${verdict ? "reached" : "missed"}`;
  return [
    row.name,
    formatValue(row.value),
    row.unit,
    row.ceiling === null ? "" : formatValue(row.ceiling),
    percent(row.share),
    row.timed ?? "",
    aim,
    row.note ?? "",
  ];
}

const TITLES = ["what", "value", "unit", "ceiling", "share", "timed", "aim", "note"];
const NUMBERS = [1, 3, 4];

/** The rows as a table for a terminal. */
export function formatRows(rows: readonly Row[]): string {
  const columns = TITLES.map((title, i) => ({
    title,
    align: NUMBERS.includes(i) ? "right" as const : "left" as const,
    minWidth: title === "note" ? 8 : 60,
  }));
  return formatTable(columns, rows.map(cells));
}

/** The rows as a table in Markdown. */
export function markdownRows(rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = TITLES.map((_, i) => NUMBERS.includes(i) ? "---:" : "---");
  return [line(TITLES), line(rule), ...rows.map((row) => line(cells(row)))].join("\n");
}
