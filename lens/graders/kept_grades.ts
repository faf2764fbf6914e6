/** Every answer of a grader that asks someone, kept in a run's folder: as it comes, and in `grades.jsonl` once a step is done. */

import { readIfThere } from "../results/files.ts";
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
import { type Prices, type RecordUsage, usageOf } from "./llm/tally.ts";

/** The file, and its step in the manifest. Until a step that asks is done the answers are a checkpoint of the same name. */
const FILE = "grades.jsonl";
const STEP = "grades";

/** The answers of a run. What was answered once is not asked again, whichever step asks for it. */
export class KeptGrades implements GradeLog {
  /** Those that are there already. */
  readonly answers: ReadonlyMap<string, RecordedAnswer>;
  #unfiled: boolean;
  #writing: Promise<void> = Promise.resolve();
  #waiting?: Promise<void>;

  private constructor(
    private readonly folder: RunFolder,
    private readonly entries: GradeEntry[],
    unfiled: boolean,
  ) {
    this.answers = answersOf(entries);
    this.#unfiled = unfiled;
  }

  /** Takes up what the run was told before, and what it was told when it was interrupted. */
  static async open(folder: RunFolder): Promise<KeptGrades> {
    const parse = (bytes: Uint8Array | null) =>
      bytes === null ? [] : parseGrades(new TextDecoder().decode(bytes), FILE);
    const interrupted = parse(await folder.readCheckpoint(FILE));
    const filed = parse(await readIfThere(`${folder.path}/${FILE}`));
    // A checkpoint has the filed ones, too.
    const all = interrupted.length > 0 ? interrupted : filed;
    return new KeptGrades(folder, all, all.length > filed.length);
  }

  /** See {@link GradeLog}. An answer that was only looked up is there already. */
  record(entry: GradeEntry): void {
    if (entry.replayed) return;
    this.entries.push(entry);
    this.#unfiled = true;
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
      sideBySide: grader.sideBySide,
      chooseScale: (lists) => after(grader.chooseScale(lists)),
      areRelevant: (tokens, topic) => after(grader.areRelevant(tokens, topic)),
      areCoherent: (texts) => after(grader.areCoherent(texts)),
    };
  }

  /** Writes the answers as the file, before the step that asked for them is finished. */
  async file(): Promise<void> {
    await this.#writing;
    if (!this.#unfiled) return;
    await this.folder.writeBytes(FILE, this.#bytes());
    const { cost: _, ...usage } = this.usage();
    await this.folder.finish(STEP, usage);
    this.#unfiled = false;
  }

  /** What all of them took. */
  usage(prices?: Prices): RecordUsage {
    return usageOf(this.entries, prices);
  }

  /** Writes the answers so far, from which an interrupted step goes on: one write after the other, and those who come while one waits share it. */
  save(): Promise<void> {
    this.#waiting ??= this.#writing.catch(() => {}).then(async () => {
      this.#waiting = undefined;
      if (this.#unfiled) await this.folder.writeCheckpoint(FILE, this.#bytes());
    });
    return this.#writing = this.#waiting;
  }

  #bytes(): Uint8Array<ArrayBuffer> {
    // Requests run side by side: the order of their answers is chance.
    const ordered = this.entries.toSorted((a, b) =>
      a.key < b.key ? -1 : a.key > b.key ? 1 : a.attempt - b.attempt
    );
    return new TextEncoder().encode(ordered.map(gradeLine).join(""));
  }
}
