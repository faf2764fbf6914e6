import { assert, assertEquals } from "@std/assert";
import { formatSeconds, plainProgress, startProgress } from "./progress.ts";

const options = { label: "Reading", total: 1000, unit: "documents" };

/** Collects lines; the clock stands still until it is set. */
function record() {
  const lines: string[] = [];
  const clock = { ms: 0 };
  return { lines, clock, writeLine: (line: string) => lines.push(line), now: () => clock.ms };
}

Deno.test("plainProgress() says at once what begins, and at the end how long it took", () => {
  const output = record();
  const progress = plainProgress(options, output);
  assertEquals(output.lines, ["Reading: 0/1000 documents"]);
  output.clock.ms = 61_000;
  progress.update(1000);
  progress.done();
  progress.done();
  progress.update(1000);
  assertEquals(output.lines.slice(1), ["Reading: 1000/1000 documents, took 1m01s"]);
});

Deno.test("plainProgress() prints a line at each tenth, with rate and time left", () => {
  const output = record();
  const progress = plainProgress(options, output);
  for (let done = 1; done <= 250; done++) {
    output.clock.ms = done * 4;
    progress.update(done, "layer 3");
  }
  assertEquals(output.lines.slice(1), [
    "Reading: 100/1000 documents, 250 documents/s, 4s left, layer 3",
    "Reading: 200/1000 documents, 250 documents/s, 4s left, layer 3",
  ]);
});

Deno.test("plainProgress() thins its lines out over hours", () => {
  const output = record();
  const progress = plainProgress({ ...options, total: 10_000 }, output);
  for (let second = 1; second <= 3600; second++) {
    output.clock.ms = second * 1000;
    progress.update(Math.floor(second / 4));
  }
  const first = output.lines[1];
  assertEquals(first, "Reading: 0/10000 documents");
  assert(output.lines.length > 40, `${output.lines.length} lines`);
  assert(output.lines.length < 75, `${output.lines.length} lines`);
});

Deno.test("plainProgress() keeps tenths to itself that come faster than can be read", () => {
  const output = record();
  const progress = plainProgress(options, output);
  for (let done = 100; done <= 1000; done += 100) {
    output.clock.ms += 5;
    progress.update(done);
  }
  progress.done();
  assertEquals(output.lines.length, 2);
});

Deno.test("plainProgress() shows the control characters of a note", () => {
  const output = record();
  const progress = plainProgress(options, output);
  output.clock.ms = 1000;
  progress.update(500, "\x1b[2J");
  assertEquals(output.lines[1], "Reading: 500/1000 documents, 500 documents/s, 1s left, \\x1b[2J");
});

Deno.test("startProgress() is silent when quiet, and bears an empty total", () => {
  const progress = startProgress({ ...options, quiet: true });
  progress.update(1);
  progress.done();
  const output = record();
  const empty = plainProgress({ ...options, total: 0 }, output);
  empty.update(0);
  empty.done();
  assertEquals(output.lines.length, 2);
});

Deno.test("formatSeconds() writes hours, minutes and seconds", () => {
  assertEquals([0, 0.2, 59, 60, 75, 3599, 3600, 7325].map(formatSeconds), [
    ...["0s", "1s", "59s", "1m00s", "1m15s", "59m59s", "1h00m", "2h02m"],
  ]);
});

Deno.test("plainProgress() of resumed work begins where it was, and tells the pace from there", () => {
  const output = record();
  const progress = plainProgress({ ...options, begun: 400 }, output);
  output.clock.ms = 100;
  progress.update(400);
  output.clock.ms = 1000;
  progress.update(500);
  assertEquals(output.lines, [
    "Reading: 400/1000 documents",
    "Reading: 500/1000 documents, 100 documents/s, 5s left",
  ]);
});
