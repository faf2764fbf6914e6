import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "./errors.ts";
import { BLOCK_HOOKS, expandHooks, hookOrder, hookWidth } from "./hooks.ts";
import type { ModelSpec } from "./model_spec.ts";

const spec = { layers: 3, hiddenSize: 8, vocabSize: 20 } as ModelSpec;

Deno.test("hooks stand in the order of a forward pass", () => {
  const order = [
    "hook_embed",
    ...[0, 1, 2].flatMap((layer) => BLOCK_HOOKS.map((point) => `blocks.${layer}.${point}`)),
    "ln_final.hook_normalized",
    "logits",
  ];
  assertEquals(order.map((hook) => hookOrder(spec, hook)), order.map((_, i) => i - 1));
  assertEquals(order.map((hook) => hookWidth(spec, hook)), order.map((_, i) => i < 17 ? 8 : 20));
});

Deno.test("a star stands for every layer, and a name counts once", () => {
  assertEquals(
    expandHooks(spec, ["blocks.1.hook_resid_post", "blocks.*.hook_resid_post", "hook_embed"]),
    [
      "blocks.1.hook_resid_post",
      "blocks.0.hook_resid_post",
      "blocks.2.hook_resid_post",
      "hook_embed",
    ],
  );
  assertEquals(expandHooks(spec, []), []);
});

Deno.test("an unknown hook is refused with the names that there are", () => {
  const names = [
    "hook_resid_post",
    "blocks.3.hook_resid_post",
    "blocks.-1.hook_resid_post",
    "blocks.01.hook_resid_post",
    "blocks.1e0.hook_resid_post",
    "blocks.9999999.hook_resid_post",
    "blocks.1.hook_resid",
    "blocks.1.toString",
    "blocks.1.hook_resid_post\n",
    "blocks.*.logits",
    "blocks.*.*",
    "*",
    "",
  ];
  for (const name of names) {
    assertThrows(() => expandHooks(spec, [name]), UsageError, "Unknown hook", name);
  }
  const error = assertThrows(() => hookOrder(spec, "blocks.7.hook_q"), UsageError);
  assertEquals(
    error.message,
    'Unknown hook "blocks.7.hook_q": this model has hook_embed, blocks.{0-2}.{hook_resid_pre, ' +
      "hook_attn_out, hook_resid_mid, hook_mlp_out, hook_resid_post}, ln_final.hook_normalized and logits",
  );
});
