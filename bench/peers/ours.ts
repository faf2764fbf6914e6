/** The same jobs by this project's engine, in the bench's own process. */

import { generate } from "../../engine/generation/generate.ts";
import type { Transformer } from "../../engine/transformer.ts";
import { argmax, type Peer } from "./worker.ts";

/** A model of ours as a peer. */
export class Ours implements Peer {
  constructor(private readonly model: Transformer) {}

  /** Logits after the last token of each sequence. */
  async #logits(sequences: number[][]): Promise<Float32Array[]> {
    const capture = [{ hook: "logits", positions: [-1] }];
    const captured = await this.model.forward(this.model.batch(sequences), { capture });
    const all = await captured.get("logits").read();
    captured.release();
    const { vocabSize } = this.model.spec;
    return sequences.map((_, s) => all.subarray(s * vocabSize, (s + 1) * vocabSize));
  }

  async check(tokens: number[], ids: number[]) {
    const [logits] = await this.#logits([tokens]);
    return { tokens: [argmax(logits)], logits: ids.map((id) => logits[id]) };
  }

  async pass(sequences: number[][]): Promise<number[]> {
    return (await this.#logits(sequences)).map(argmax);
  }

  async decode(prompt: number[], newTokens: number, begin: () => void): Promise<number[]> {
    let begun = false;
    const [{ ids }] = await generate(this.model, {
      prompts: [prompt],
      maxNewTokens: newTokens,
      sampling: { temperature: 0, seed: 0 },
      onTokens: () => {
        if (!begun) begin(); // the first token is there
        begun = true;
      },
    });
    return ids;
  }
}
