import { assertThrows } from "@std/assert";
import { UsageError } from "../errors.ts";
import type { Edit } from "../hooks.ts";
import type { ModelSpec } from "../model_spec.ts";
import { checkRequest, type GenerateRequest } from "./request.ts";

const spec = { vocabSize: 10, maxPositions: 4, hiddenSize: 1, layers: 2 } as ModelSpec;
const good: GenerateRequest = {
  prompts: [[1, 9], [0, 1, 2, 3]],
  maxNewTokens: 1,
  sampling: { temperature: 0, seed: 0 },
  streams: [0, 2 ** 32 - 1],
};
const edit = (change: Partial<Edit>): Edit[] => [
  { hook: "hook_embed", op: "add", vector: new Float32Array(1), ...change },
];

Deno.test("a request that cannot be met is refused before anything runs", () => {
  checkRequest(spec, good);
  checkRequest(spec, { ...good, edits: edit({ scale: [1, 2], positions: [0, 3, 100] }) });
  checkRequest(spec, { ...good, edits: edit({ positions: "all" }) });
  const bad: [Partial<GenerateRequest>, string][] = [
    [{ maxNewTokens: 0 }, "Cannot generate 0 tokens: ask for 1 or more"],
    [{ maxNewTokens: 1.5 }, "Cannot generate 1.5 tokens"],
    [{ maxNewTokens: Infinity }, "Cannot generate Infinity tokens"],
    [{ sampling: { temperature: -1, seed: 0 } }, "Cannot sample with temperature -1"],
    [{ prompts: [[1], []] }, "Cannot continue prompt 1: it has no tokens"],
    [{ prompts: [[1], [1, 10]] }, "prompt 1: token 10 at place 1 is not in the vocabulary of 10"],
    [{ prompts: [[-1], [1]] }, "prompt 0: token -1"],
    [{ prompts: [[0.5], [1]] }, "prompt 0: token 0.5"],
    [
      { prompts: [[0, 0, 0, 0, 0], [1]] },
      "prompt 0: its 5 tokens are over the model's context of 4",
    ],
    [{ edits: edit({ scale: [1] }) }, 'edit at "hook_embed": there are 1 scales for 2 sequences'],
    [{ edits: edit({ positions: [1, -1] }) }, "Cannot edit at position -1 while generating"],
    [{ edits: edit({ positions: [0.5] }) }, "Cannot edit at position 0.5"],
    [
      { streams: [1] },
      "Cannot draw from streams [1]: there must be one 32-bit number for each of 2",
    ],
    [{ streams: [1, 2 ** 32] }, "Cannot draw from streams [1,4294967296]"],
    [{ streams: [1, -1] }, "Cannot draw from streams [1,-1]"],
    [{ edits: edit({ hook: "blocks.2.hook_resid_post" }) }, 'Unknown hook "blocks.2.hook_resid'],
    [
      { edits: edit({ vector: new Float32Array(3) }) },
      'Cannot edit at "hook_embed": the vector has 3 values, the hook 1',
    ],
    [{ edits: edit({ op: "project" }) }, "Cannot project along a vector of length 0"],
    [{ logprobs: 21 }, "Cannot tell the 21 likeliest tokens: it must be 0 to 20"],
    [{ logprobs: -1 }, "Cannot tell the -1 likeliest tokens"],
  ];
  for (const [change, message] of bad) {
    assertThrows(() => checkRequest(spec, { ...good, ...change }), UsageError, message);
  }
});
