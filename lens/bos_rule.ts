/** What two models differ in before there is any text. */

import type { DocumentRule } from "./documents.ts";

/** The document that is nothing but the token with which texts begin, whatever the text; one of it is all there are. */
export function bosRule(bosId: number): DocumentRule {
  return {
    positions: 1,
    firstPosition: 0,
    take: () => ({ ids: [bosId] }),
    explain: () => "Cannot choose documents: there is no text",
  };
}
