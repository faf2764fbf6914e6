/**
 * All that is audited. `audit_test.ts` runs each of them and fails for a .wgsl file that none of them dispatched: a new
 * kernel, or a new variant of one, needs a case here or a shape that leads to it.
 */

import type { KernelCase } from "./case.ts";
import { accumulateCase } from "./cases/accumulate.ts";
import { add } from "./cases/add.ts";
import { addBiasCase } from "./cases/add_bias.ts";
import { argmaxCase } from "./cases/argmax.ts";
import { attentionCase } from "./cases/attention.ts";
import {
  attentionDecodeCase,
  attentionDecodeTexelCase,
  attentionEachCase,
} from "./cases/attention_decode.ts";
import { copyRowsCase } from "./cases/copy_rows.ts";
import { edit } from "./cases/edit.ts";
import { embeddingCase } from "./cases/embedding.ts";
import { addSharesCase, fewRowsCase, matvecFusedCase } from "./cases/few_rows.ts";
import { gluCase } from "./cases/glu.ts";
import { intersectMeanCase } from "./cases/intersect_mean.ts";
import { kthLargestCase } from "./cases/kth_largest.ts";
import { logprobsCase } from "./cases/logprobs.ts";
import { manyRowsCase, manyRowsNormCase, narrowRowsCase } from "./cases/many_rows.ts";
import { matmulCase } from "./cases/matmul.ts";
import { matmulHalfCase, matmulMatrixCase } from "./cases/matmul_half.ts";
import { nucleus } from "./cases/nucleus.ts";
import { penalise } from "./cases/penalise.ts";
import { project } from "./cases/project.ts";
import { rmsnormCase } from "./cases/rmsnorm.ts";
import { ropeCase } from "./cases/rope.ts";
import { rowNormCase } from "./cases/row_norm.ts";
import { rowScaleCase } from "./cases/row_scale.ts";
import { sample } from "./cases/sample.ts";
import { softcapCase } from "./cases/softcap.ts";
import { softmaxCase } from "./cases/softmax.ts";
import { tokenLossCase } from "./cases/token_loss.ts";
import { topKCase } from "./cases/top_k.ts";

/** In the order of a forward pass, then what reads it. */
export const KERNEL_CASES: readonly KernelCase[] = [
  embeddingCase,
  rmsnormCase,
  matmulCase,
  rowScaleCase,
  matmulHalfCase,
  matmulMatrixCase,
  addBiasCase,
  ropeCase,
  attentionCase,
  attentionDecodeCase,
  attentionDecodeTexelCase,
  attentionEachCase,
  fewRowsCase,
  matvecFusedCase,
  addSharesCase,
  manyRowsCase,
  manyRowsNormCase,
  narrowRowsCase,
  add,
  gluCase,
  softcapCase,
  copyRowsCase,
  edit,
  project,
  accumulateCase,
  rowNormCase,
  softmaxCase,
  tokenLossCase,
  kthLargestCase,
  topKCase,
  logprobsCase,
  intersectMeanCase,
  argmaxCase,
  penalise,
  nucleus,
  sample,
];

/** Variants of products that no class of adapters begins with, or not at the sizes that are audited: each is audited by itself. */
export const TUNED_PRODUCTS = ["subgroups", "block 64", "block 128", "split 32"] as const;

/** The ops whose kernels for GPUs have other shapes of tiles and blocks from class to class of adapters. */
export const SHAPED_OPS: readonly string[] = [
  "rmsnorm",
  "matmul",
  "row_scale",
  "matmul_half",
  "matmul_matrix",
  "project",
  "row_norm",
  "softmax",
  "token_loss",
  "kth_largest",
  "top_k",
  "logprobs",
  "intersect_mean",
  "argmax",
  "penalise",
  "nucleus",
  "sample",
];
