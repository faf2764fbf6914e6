/**
 * Which tokens say nothing of a topic: the offline grader of scales leaves them out, keyword sets never hold them.
 *
 * A token is generic if it is
 * - a special token;
 * - without a letter: spaces, punctuation, digits (numerals are alike in every model, and Patchscope's prompts hold some);
 * - an English function word, see {@link isFunctionWord};
 * - a fragment: of an alphabet with upper and lower case, and under three letters after a space (` s`, ` gr`) or under five
 *   without one (`arl`, `ines`; `Cake` too, but ` cake` stays). Other scripts write words with one or two characters and
 *   no spaces, so their tokens are not judged by length.
 */

const FUNCTION_WORDS = new Set(
  `a about above across after again against ago all almost alone along already also although always am among an and another
  any anybody anyone anything anyway anywhere are aren around as aside at away back be became because become becomes been
  before behind being below beside besides best better between beyond both but by came can cannot come comes could couldn
  did didn do does doesn doing don done down during each either else enough even ever every everybody everyone everything
  everywhere except few for from further gave get gets getting give given gives go goes going gone got had hadn half has
  hasn have haven having he hence her here hers herself him himself his how however if in indeed inside instead into is
  isn it its itself just keep keeps kept last least less let lets like likely ll made make makes making many may maybe me
  might mine more most mostly much must mustn my myself near nearly neither never next no nobody none nor not nothing now
  nowhere of off often on once one ones only onto or other others otherwise ought our ours ourselves out outside over own
  per perhaps please put puts quite rather re really said same saw say says see seem seemed seems seen several shall she
  should shouldn since so some somebody someone something sometimes somewhere soon still such take taken takes than that
  the their theirs them themselves then there therefore these they thing things this those though through throughout thus
  to together too took toward towards under unless until up upon us use used uses using ve very was wasn way we well went
  were weren what whatever when whenever where wherever whether which while who whoever whole whom whose why will with
  within without won would wouldn yes yet you your yours yourself yourselves`.split(/\s+/),
);

/** Whether `word` (lower case, no spaces) is an English word with a grammatical role rather than a topic. */
export function isFunctionWord(word: string): boolean {
  return FUNCTION_WORDS.has(word);
}

/** Whether a token's text says nothing of a topic; the rule stands at the head of this file. */
export function isGenericToken(text: string, special = false): boolean {
  if (special) return true;
  const word = tokenWord(text);
  if (word === "" || !/\p{L}/u.test(word) || isFunctionWord(word)) return true;
  if (word.toUpperCase() === word) return false;
  return [...word].length < (/^\s/.test(text) ? 3 : 5);
}

/**
 * The word in a token's text: lower case, without what surrounds it that is neither letter nor digit. Empty if there is none,
 * or if the token is no single word.
 */
export function tokenWord(text: string): string {
  const words = text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words.length === 1 ? words[0] : "";
}
