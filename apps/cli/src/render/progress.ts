import { MultiBar, type SingleBar } from 'cli-progress';
import { type Stage, STAGES } from '#api/job-words.js';
import type { JobDetail } from '#api/jobs.js';
import { progressLine, stageLine } from './stage-line.js';

/** What a command shows while it waits for a job. */
export interface Progress {
  update(job: JobDetail): void;
  /** One sentence among the progress, e.g. that the tracker does not answer. */
  note(text: string): void;
  /** Leaves the last state on the screen; afterwards the stream belongs to others again. */
  stop(): void;
}

type Output = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** Bars on a terminal, plain lines elsewhere; `quiet`: nothing but notes elsewhere. */
export function progressOn(stream: Output, now: () => number, quiet = false): Progress {
  if (stream.isTTY === true) return new BarsProgress(stream);
  return new LinesProgress(stream, now, quiet);
}

/** One bar a stage, redrawn in place. */
class BarsProgress implements Progress {
  private readonly multiBar: MultiBar;
  private bars: ReadonlyMap<Stage, SingleBar> | undefined;

  constructor(stream: Output) {
    this.multiBar = new MultiBar({
      stream,
      format: (_options, _params, payload: { line: string }) => payload.line,
      hideCursor: true,
      gracefulExit: false, // Ctrl-C belongs to the command, which says how to continue
    });
  }

  update(job: JobDetail): void {
    this.bars ??= new Map(STAGES.map((stage) => [stage, this.multiBar.create(1, 0, { line: stage })]));
    for (const [stage, bar] of this.bars) bar.update({ line: stageLine(job, stage) });
  }

  note(text: string): void {
    if (this.bars === undefined) this.bars = new Map();
    this.multiBar.log(`${text}\n`);
  }

  stop(): void {
    this.multiBar.stop();
  }
}

/** At most one line every two seconds, and only when it says something new. */
const LINE_EVERY_MS = 2000;

class LinesProgress implements Progress {
  private lastLine = '';
  private lastAt = -Infinity;

  constructor(
    private readonly stream: Output,
    private readonly now: () => number,
    private readonly quiet: boolean,
  ) {}

  update(job: JobDetail): void {
    const line = progressLine(job);
    if (this.quiet || line === this.lastLine || this.now() - this.lastAt < LINE_EVERY_MS) return;
    this.lastLine = line;
    this.lastAt = this.now();
    this.stream.write(`${line}\n`);
  }

  note(text: string): void {
    this.stream.write(`${text}\n`);
  }

  stop(): void {
    // Nothing is pending: the report says the rest.
  }
}
