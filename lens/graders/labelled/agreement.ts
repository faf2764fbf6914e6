/** How far verdicts agree with labels. */

/** One case that was judged. */
export interface Judged {
  /** How it was made. */
  kind: string;
  /** The label: whether it should be accepted. */
  label: boolean;
  accepted: boolean;
}

/** Agreement on some cases. */
export interface Agreement {
  cases: number;
  /** Those whose verdict is their label. */
  right: number;
  /** Accepted, though the label says no; of so many whose label says no. */
  falseAccepts: number;
  negatives: number;
  /** Rejected, though the label says yes; of so many whose label says yes. */
  falseRejects: number;
  positives: number;
}

/** Agreement on all cases. */
export function agreementOf(cases: readonly Judged[]): Agreement {
  const count = (test: (one: Judged) => boolean) => cases.filter(test).length;
  return {
    cases: cases.length,
    right: count(({ label, accepted }) => label === accepted),
    falseAccepts: count(({ label, accepted }) => accepted && !label),
    negatives: count(({ label }) => !label),
    falseRejects: count(({ label, accepted }) => label && !accepted),
    positives: count(({ label }) => label),
  };
}

/** Agreement by kind, in the order in which kinds first appear. */
export function agreementByKind(cases: readonly Judged[]): Map<string, Agreement> {
  const kinds = Map.groupBy(cases, ({ kind }) => kind);
  return new Map([...kinds].map(([kind, own]) => [kind, agreementOf(own)]));
}
