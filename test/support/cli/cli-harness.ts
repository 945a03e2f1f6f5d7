import { PassThrough } from 'node:stream';
import { loadSettings } from '#common/config/environment.js';
import { CliConfig } from '../../../apps/cli/src/cli.config.js';
import type { CliContext } from '../../../apps/cli/src/commands/context.js';
import type { Waiting } from '../../../apps/cli/src/commands/follow-job.js';
import type { LocalState, LocalSystem } from '#local/local-system.js';
import { runCli } from '../../../apps/cli/src/commands/program.js';

/** One command line in this process: its streams, its clock and its Ctrl-C in the hands of a test. */
export class CliHarness {
  readonly stdin = new PassThrough();
  readonly stdout = new TextSink();
  readonly stderr = new TextSink();
  /** The clock, and how much later it is at each look. */
  now = 0;
  tick = 0;
  waiting: Waiting = { quietMs: 5000, pollMs: 10, patienceMs: 10_000, settleMs: 10_000 };
  cwd = process.cwd();
  environment: Record<string, string> = {};
  local: LocalSystem = noLocalSystem();
  build: string | null = null;
  private readonly interruptHandlers = new Set<() => void>();

  /** Makes standard input, output and error output a terminal of 120 columns. */
  onTerminal(): this {
    for (const stream of [this.stdin, this.stdout, this.stderr])
      Object.assign(stream, { isTTY: true, columns: 120 });
    return this;
  }

  run(...args: string[]): Promise<number> {
    return runCli(args, this.context());
  }

  context(): CliContext {
    return {
      version: '1.2.3',
      build: this.build,
      stdin: this.stdin,
      stdout: this.stdout,
      stderr: this.stderr,
      cwd: this.cwd,
      settings: () => loadSettings(CliConfig, { XDG_CONFIG_HOME: '/no/such/folder', ...this.environment }),
      local: this.local,
      waiting: this.waiting,
      now: () => (this.now += this.tick),
      onInterrupt: (handler) => {
        this.interruptHandlers.add(handler);
        return () => this.interruptHandlers.delete(handler);
      },
    };
  }

  pressCtrlC(): void {
    for (const handler of [...this.interruptHandlers]) handler();
  }
}

/** Keeps what is written to it, and says when a text has appeared. */
export class TextSink extends PassThrough {
  text = '';
  private readonly looks = new Set<() => void>();

  constructor() {
    super();
    this.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk;
      for (const look of [...this.looks]) look();
    });
  }

  async until(part: string): Promise<void> {
    if (this.text.includes(part)) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!this.text.includes(part)) return;
        this.looks.delete(look);
        resolve();
      };
      this.looks.add(look);
    });
  }
}

/** A checkout in which nothing runs. */
export function noLocalSystem(facts: Partial<LocalSystem> = {}): LocalSystem {
  const unexpected = (): Promise<never> => Promise.reject(new Error('the test did not expect this call'));
  return {
    state: () => Promise.resolve(undefined),
    up: unexpected,
    down: unexpected,
    status: () => Promise.resolve({ processes: [], isReady: false, troubles: [] }),
    doctor: unexpected,
    rebuild: unexpected,
    logs: unexpected,
    ...facts,
  };
}

export const LOCAL_STATE: LocalState = {
  ingestorUrl: 'http://127.0.0.1:3001',
  trackerUrl: 'http://127.0.0.1:3004',
  databaseUrl: "postgres://sluice:it's@127.0.0.1:5432/sluice",
  kafkaBrokers: '127.0.0.1:9092',
  startedKafka: true,
  tokenFile: '/nowhere/token',
  builds: [],
};
