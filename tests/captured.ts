/** What a model computes, from captures in pieces. */

import { assertEquals } from "@std/assert";
import { capturePieces } from "../engine/capture_pieces.ts";
import { hookWidth } from "../engine/hooks.ts";
import type { Transformer } from "../engine/transformer.ts";

/** What {@link capturePieces} gives, put together: `{sequence}.{hook}`. */
export async function captured(
  model: Transformer,
  sequences: number[][],
  options: Parameters<typeof capturePieces>[2],
): Promise<Map<string, number[]>> {
  const whole = new Map<string, number[]>();
  for await (
    const { sequence, hook, firstRow, values } of capturePieces(model, sequences, options)
  ) {
    const name = `${sequence}.${hook}`;
    const rows = whole.get(name) ?? [];
    assertEquals(rows.length, firstRow * (values.length === 0 ? 0 : hookWidth(model.spec, hook)));
    for (const value of values) rows.push(value);
    whole.set(name, rows);
  }
  return whole;
}
