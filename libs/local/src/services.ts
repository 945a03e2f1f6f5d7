import { join } from 'node:path';
import { childEnvironment } from '#common/config/environment.js';
import { SluiceError, messageOf } from '#common/errors/sluice-error.js';
import type { HealthAnswer } from '#common/http/health.controller.js';
import { readBuild } from '#common/telemetry/build.js';
import { shorten } from '#common/text/plain-text.js';
import type { LocalConfig } from './local.config.js';
import type { ProcessPlan } from './process-plan.js';

/** One service of a system: what to run, how often, and where it likes to listen. */
export interface ServiceSpec {
  readonly name: string;
  readonly instances: number;
  readonly preferredPort: number;
  /** Main file, built. */
  readonly main: string;
}

/** The four services of this checkout, in the order of the way. */
export function servicesOf(config: LocalConfig, checkout: string): ServiceSpec[] {
  const service = (name: string, instances: number, preferredPort: number): ServiceSpec => ({
    name,
    instances,
    preferredPort,
    main: join(checkout, 'dist', 'apps', name, 'src', 'main.js'),
  });
  return [
    service('ingestor', config.ingestors, 3001),
    service('validator', config.validators, 3002),
    service('loader', config.loaders, 3003),
    service('tracker', config.trackers, 3004),
  ];
}

/** `loader`, `loader-2`, `loader-3`: the first keeps its name when there are more. */
export function instanceNames({ name, instances }: ServiceSpec): string[] {
  return Array.from({ length: instances }, (_, index) => (index === 0 ? name : `${name}-${index + 1}`));
}

/**
 * Options of Node for every service. A service handles buffers of half a megabyte, and V8 frees unreferenced ones when
 * it collects the young generation. With V8's own 16 MB that comes so late that V8 marks the whole heap for the sake of
 * the buffers; figures, and why not 4 MB: `docs/performance.md`. The Dockerfile says the same.
 */
export const SERVICE_NODE_OPTIONS = ['--max-semi-space-size=8'];

/** The ports stay on this machine, and are asked by plain HTTP. */
const WITHOUT_TLS = Object.fromEntries(
  ['SLUICE_TLS_CERTIFICATE', 'SLUICE_TLS_KEY'].flatMap((name) => [
    [name, undefined],
    [`${name}_FILE`, undefined],
  ]),
);

export function planService(facts: {
  readonly name: string;
  readonly main: string;
  readonly port: number;
  readonly logFile: string;
  readonly cwd: string;
  readonly drainTimeoutMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}): ProcessPlan {
  const { name, main, port, logFile, cwd } = facts;
  const address = `http://127.0.0.1:${port}`;
  return {
    name,
    command: process.execPath,
    args: [...SERVICE_NODE_OPTIONS, main],
    cwd,
    env: childEnvironment({
      // Batches are freed by other threads than took them; glibc's many arenas keep a tenth more of that resident.
      MALLOC_ARENA_MAX: '2',
      ...facts.env,
      SLUICE_HOST: '127.0.0.1',
      ...WITHOUT_TLS,
      SLUICE_PORT: String(port),
    }),
    port,
    logFile,
    probe: async ({ pid }) => {
      const answer = await expectHealthy(`${address}/health/ready`);
      if (pidIn(answer) !== pid) {
        throw new SluiceError('SYSTEM_UNREACHABLE', `${address} is answered by another process than ${pid}.`);
      }
    },
    liveness: async () => {
      await expectHealthy(`${address}/health/live`);
    },
    build: () => readBuild(join(cwd, 'dist'))?.id ?? null,
    // The service gives up by itself after its own time; SIGKILL follows somewhat later.
    stopSteps: [{ signal: 'SIGTERM', waitMs: facts.drainTimeoutMs + 5_000 }],
  };
}

/** @returns the answer @throws SluiceError SYSTEM_UNREACHABLE with what the service says about itself */
export async function expectHealthy(url: string, timeoutMs = 5_000): Promise<string> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    text = await answer.text();
  } catch (error) {
    // fetch hides the reason behind "fetch failed".
    const { cause = error } = error as { cause?: unknown };
    throw new SluiceError('SYSTEM_UNREACHABLE', `${url} does not answer (${messageOf(cause)})`);
  }
  if (!answer.ok)
    throw new SluiceError('SYSTEM_UNREACHABLE', `${url} says ${answer.status}: ${reasonsIn(text)}`);
  return text;
}

/** Long enough for what several partitions wait for, short enough for a line of `status`. */
const MAX_REASON_CHARACTERS = 600;

/** Our services' own sentences, without the JSON around them; another program's answer as it is. */
function reasonsIn(answer: string): string {
  const problems = healthIn(answer)?.problems;
  const isTold = Array.isArray(problems) && problems.length > 0;
  return shorten(isTold ? problems.join('; ') : answer, MAX_REASON_CHARACTERS);
}

/** As our services report it (`HealthAnswer`); undefined in another program's answer. */
function pidIn(answer: string): unknown {
  return healthIn(answer)?.pid;
}

function healthIn(answer: string): Partial<HealthAnswer> | null {
  try {
    return JSON.parse(answer) as Partial<HealthAnswer> | null;
  } catch {
    return null;
  }
}
