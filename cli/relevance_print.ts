/** What `deno task relevance` prints. */

import type { GradedShare } from "../lens/token_relevance.ts";
import { RELEVANCE_NAMES } from "../lens/topic.ts";
import { gradingLine } from "./graders.ts";
import type { RelevanceFound } from "./relevance.ts";
import { formatTable } from "./table.ts";
import { percent } from "./token_list.ts";
import { visible } from "./visible.ts";
import { wrap } from "./wrap.ts";

/** Relevant tokens that are named. */
const NAMED = 8;

/** Prints a table a layer. */
export function printRelevance(
  { graded, grader, grading, description, folder }: RelevanceFound,
): void {
  if (description) console.log(`\n${wrap(`Topic: ${visible(description)}`)}`);
  for (const { layer, ...relevance } of graded) {
    console.log(`\nTokens that belong to it at layer ${layer}, graded ${grader}\n`);
    const right = { align: "right" as const, minWidth: 8 };
    const columns = [
      { title: "vector", minWidth: 10 },
      { title: "lens", minWidth: 10 },
      { title: "share", ...right },
      { title: "weighted", ...right },
      { title: "telling", ...right },
      { title: "baseline", ...right },
      { title: "relevant tokens" },
    ];
    const rows = RELEVANCE_NAMES.flatMap((name) =>
      (["logit_lens", "patchscope"] as const).flatMap((lens) => {
        const one = relevance[lens][name];
        return one ? [[name, lens.replace("_", " "), ...cells(one)]] : [];
      })
    );
    console.log(formatTable(columns, rows));
  }
  console.log(`\n${wrap(LEGEND)}`);
  if (grading) console.log(`\n${gradingLine(grading)}`);
  console.log(`\nResults: ${folder}`);
}

const LEGEND =
  "share: of the 20 likeliest tokens those that are relevant in all of three orders, averaged over the positions. " +
  "weighted: by probability. telling: of those that are no function words, fragments or marks. baseline: those that are " +
  "among the most frequent tokens of the finetuning's texts.";

function cells({ share, weighted_share, filtered_share, baseline, relevant }: GradedShare) {
  const named = relevant.slice(0, NAMED).map((token) => visible(token.trim())).join(" ");
  return [
    percent(share),
    percent(weighted_share),
    filtered_share === null ? "—" : percent(filtered_share),
    percent(baseline),
    named,
  ];
}
