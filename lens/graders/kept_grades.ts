/** Every answer of a grader that asks someone, kept in a run's folder: as it comes, and with the step that it was for. */

import type { RunFolder } from "../results/run_folder.ts";
import type { Grader } from "./grader.ts";
import {
  answersOf,
  type GradeEntry,
  gradeLine,
  type GradeLog,
  parseGrades,
  type RecordedAnswer,
} from "./llm/log.ts";

const CHECKPOINT = "grades.jsonl";

/** The answers of the unfinished step of a run. */
export class KeptGrades implements GradeLog {
  /** Those of an interrupted run, which need not be asked for again. */
  readonly answers: ReadonlyMap<string, RecordedAnswer>;

  private constructor(private readonly folder: RunFolder, private entries: GradeEntry[]) {
    this.answers = answersOf(entries);
  }

  /** Takes up what an interrupted run was told. */
  static async open(folder: RunFolder): Promise<KeptGrades> {
    const bytes = await folder.readCheckpoint(CHECKPOINT);
    const text = bytes === null ? "" : new TextDecoder().decode(bytes);
    return new KeptGrades(folder, parseGrades(text, CHECKPOINT));
  }

  /** See {@link GradeLog}. An answer that was only looked up is there already. */
  record(entry: GradeEntry): void {
    if (!entry.replayed) this.entries.push(entry);
  }

  /** A grader whose answers are on disk when it returns. */
  keeping(grader: Grader): Grader {
    const after = async <T>(verdicts: Promise<T>): Promise<T> => {
      try {
        return await verdicts;
      } finally {
        await this.save();
      }
    };
    return {
      name: grader.name,
      chooseScale: (lists) => after(grader.chooseScale(lists)),
      areRelevant: (tokens, topic) => after(grader.areRelevant(tokens, topic)),
      areCoherent: (texts) => after(grader.areCoherent(texts)),
    };
  }

  /** Writes the answers so far, from which an interrupted step goes on. */
  async save(): Promise<void> {
    await this.folder.writeCheckpoint(CHECKPOINT, this.bytes());
  }

  /** Writes the answers as a file of the step that is about to be finished, and begins anew. */
  async file(name: string): Promise<void> {
    if (this.entries.length === 0) return;
    // Requests run side by side: the order of their answers is chance.
    this.entries.sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : a.attempt - b.attempt);
    await this.folder.writeBytes(name, this.bytes());
    this.entries = [];
  }

  private bytes(): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(this.entries.map(gradeLine).join(""));
  }
}
