import { FAULT_POINTS, STREAM_FAULT_POINTS, type FaultPoint } from '#common/faults/fault-point.js';
import type { WriteMode } from '#core/dataset/dataset.js';
import { SeededRandom } from '#core/dataset/generate.js';

/**
 * What a chaos run does: which job each round runs, and which faults it meets at which moment of its progress. PURE.
 *
 * - CP1: a round's plan is a function of the seed and the round's number alone; a system's, of the seed and the
 *   system's number. So any round can be planned again without those before it.
 * - CP2: every kind of fault, point, process, source and mode comes up sooner or later (chaos-plan.spec.ts).
 * - CP3: a fault is planned only where it can happen: no cut connection of a local file, no merge in `replace`.
 */

export const SERVICES = [
  'ingestor',
  'ingestor-2',
  'validator',
  'validator-2',
  'loader',
  'loader-2',
  'tracker',
];
export const SERVERS = ['kafka', 'postgres'];
export const RESENT_TOPICS = ['raw', 'clean', 'dead'] as const;
export const CODECS = ['gzip', 'snappy', 'lz4', 'zstd'] as const;
export const POISONED_TOPICS = ['raw', 'clean', 'dead', 'status'] as const;
/** Only what a resumed job publishes again: a dead letter that the broker has lost is lost (docs/failure.md). */
export const TRUNCATED_TOPICS = ['raw', 'clean'] as const;
export const SOURCE_KINDS = ['http with Range', 'http', 'http, gzip', 'file', 'file, gzip'] as const;
const PRODUCERS = ['ingestor', 'validator', 'loader'] as const;
const MODES = ['replace', 'append', 'upsert'] as const satisfies readonly WriteMode[];

export type SourceKind = (typeof SOURCE_KINDS)[number];

export interface PointFault {
  readonly kind: 'point';
  readonly point: FaultPoint;
  readonly action: 'kill' | 'stall';
}

export type Fault =
  | { readonly kind: 'kill'; readonly process: string }
  | { readonly kind: 'terminate'; readonly process: string }
  /** Stopped for longer than any session time-out and lease, then woken. */
  | { readonly kind: 'stall'; readonly process: string }
  | PointFault
  /** pg_terminate_backend of N of the services' connections. */
  | { readonly kind: 'cut connections'; readonly share: number; readonly seed: number }
  /** The source's connections break, and it can be had again at once. */
  | { readonly kind: 'break source' }
  /** The source is gone until the job has failed; then the job is resumed. */
  | { readonly kind: 'fail source and resume' }
  | { readonly kind: 'pause and continue' }
  /** Cancelled; the same job is started again. */
  | { readonly kind: 'cancel and start again' }
  | { readonly kind: 'send again'; readonly topic: (typeof RESENT_TOPICS)[number]; readonly seed: number }
  /** The broker stores what comes from now on compressed: an operator has changed `compression.type`. */
  | {
      readonly kind: 'compress topic';
      readonly topic: (typeof RESENT_TOPICS)[number];
      readonly codec: (typeof CODECS)[number];
    }
  /** Messages that cannot be read: each has to be parked, and none may hold up those behind it. */
  | { readonly kind: 'send poison'; readonly topic: (typeof POISONED_TOPICS)[number] }
  /** Another session updates rows of the target tables, without changing them, until the job has ended. */
  | { readonly kind: 'write beside'; readonly seed: number }
  /** One partition more, while messages are on their way. */
  | { readonly kind: 'grow partitions'; readonly topic: (typeof RESENT_TOPICS)[number] }
  /** SIGTERM of every service, one after the other, each waited for: what a deployment does. */
  | { readonly kind: 'roll services' }
  /** The broker is killed and has lost the end of a topic when it comes back. */
  | { readonly kind: 'lose tail'; readonly topic: (typeof TRUNCATED_TOPICS)[number]; readonly share: number }
  /** For a while, whatever the service writes to a file is refused. */
  | { readonly kind: 'fill disk'; readonly service: string }
  /** The brokers' next answers to this service's produce requests are lost. */
  | { readonly kind: 'lose answers'; readonly service: string; readonly times: number };

/** When faults come: a share of the file's records is in staging, the job is being finalized, or before it begins. */
export type Moment = 'start' | 'finalizing' | { readonly loadedShare: number };

export interface PlannedFaults {
  readonly at: Moment;
  readonly faults: readonly Fault[];
}

export interface FilePlan {
  readonly rows: number;
  /** Files of the same seed have the same rows, so some rounds bring what is there already. */
  readonly contentSeed: number;
  /** Of the pool of keys that all files of a system share. */
  readonly firstKey: number;
}

export interface RoundPlan {
  readonly round: number;
  readonly mode: WriteMode;
  readonly source: SourceKind;
  readonly file: FilePlan;
  readonly steps: readonly PlannedFaults[];
  /** At a point that only the stream beside the job passes; from the start. */
  readonly beside: PointFault;
}

export interface SystemPlan {
  readonly partitions: number;
}

export const DEFECT_SHARE = 0.02;
export const REPEAT_SHARE = 0.005;
export const KEY_POOL = 12_000;
const FIRST_KEYS = 4;
const CONTENT_SEEDS = 5;

export function planSystem(seed: number, number: number): SystemPlan {
  return { partitions: 1 + randomOf(seed, -1 - number).below(5) };
}

/** @param maxRows fewer for runs that have to be short */
export function planRound(seed: number, round: number, maxRows = 8_000): RoundPlan {
  const random = randomOf(seed, round);
  const mode = random.pick(MODES);
  const source = pickSource(random);
  const file = {
    rows: 2_000 + random.below(maxRows - 1_999),
    contentSeed: seed * CONTENT_SEEDS + random.below(CONTENT_SEEDS),
    firstKey: (random.below(FIRST_KEYS) * KEY_POOL) / FIRST_KEYS,
  };
  return {
    round,
    mode,
    source,
    file,
    steps: planSteps(random, mode, source),
    beside: planBeside(seed, round),
  };
}

/** By numbers of its own: what else a seed plans stays what it was before there were streams. */
function planBeside(seed: number, round: number): PointFault {
  const random = randomOf(~seed, round);
  return { kind: 'point', point: random.pick(STREAM_FAULT_POINTS), action: random.pick(['kill', 'stall']) };
}

/** Its own stream of numbers for each pair: the golden ratio's multiples lie far apart. */
function randomOf(seed: number, number: number): SeededRandom {
  const random = new SeededRandom(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(number + 7, 0x85ebca6b));
  random.next();
  return random;
}

/** Faults of a source need one over HTTP, so most are. */
function pickSource(random: SeededRandom): SourceKind {
  return random.chance(0.8) ? random.pick(SOURCE_KINDS.slice(0, 3)) : random.pick(SOURCE_KINDS.slice(3));
}

function planSteps(random: SeededRandom, mode: WriteMode, source: SourceKind): PlannedFaults[] {
  const moments = pickMoments(random);
  const faultsAt = new Map<Moment, Fault[]>(moments.map((moment) => [moment, []]));
  const once = new Set<string>();
  const count = 2 + random.below(4);
  for (let planned = 0; planned < count;) {
    const fault = pickFault(random, mode);
    if (once.has(onceKey(fault)) || !isPossible(fault, source)) continue;
    once.add(onceKey(fault));
    faultsAt.get(pickMoment(random, fault, moments))?.push(fault);
    planned += 1;
  }
  return [...faultsAt].map(([at, faults]) => ({ at, faults })).filter(({ faults }) => faults.length > 0);
}

/** `start`, one to three shares in order, `finalizing`. */
function pickMoments(random: SeededRandom): Moment[] {
  const shares = Array.from({ length: 1 + random.below(3) }, () => 25 + 5 * random.below(15));
  const inOrder = [...new Set(shares)]
    .sort((a, b) => a - b)
    .map((percent) => ({ loadedShare: percent / 100 }));
  return ['start', ...inOrder, 'finalizing'];
}

const AT_ANY_MOMENT: readonly Fault['kind'][] = [
  'kill',
  'terminate',
  'stall',
  'cut connections',
  'send again',
  'compress topic',
  'send poison',
  'fill disk',
];

function pickMoment(random: SeededRandom, fault: Fault, moments: readonly Moment[]): Moment {
  // A point of the ingestor or the validator may be passed for the last time before the end is near.
  if (fault.kind === 'point') return random.pick(moments.slice(0, 2));
  const whileLoading = moments.slice(1, -1);
  if (fault.kind === 'write beside') return moments[1] ?? 'finalizing';
  const isOfLoading = !AT_ANY_MOMENT.includes(fault.kind);
  return random.pick(isOfLoading ? whileLoading : moments.slice(1));
}

/** What a round has once at most: the same fault at the same process, and each of the dear ones. */
function onceKey(fault: Fault): string {
  if (fault.kind === 'point') return fault.point;
  return 'process' in fault ? `${fault.kind} ${fault.process}` : fault.kind;
}

function isPossible({ kind }: Fault, source: SourceKind): boolean {
  // A local file is read in no time: nothing of it can be interrupted or held back.
  const needsHttp = [
    'break source',
    'fail source and resume',
    'pause and continue',
    'cancel and start again',
  ];
  return source.startsWith('http') || !needsHttp.includes(kind);
}

/** By weight. */
function pickFault(random: SeededRandom, mode: WriteMode): Fault {
  const ways: readonly (readonly [weight: number, make: () => Fault])[] = [
    [18, () => ({ kind: 'kill', process: random.pick(SERVICES) })],
    [10, () => ({ kind: 'kill', process: random.pick(SERVERS) })],
    [10, () => ({ kind: 'terminate', process: random.pick(SERVICES) })],
    [10, () => ({ kind: 'stall', process: random.pick(SERVICES) })],
    [28, () => pickPoint(random, mode)],
    [7, () => ({ kind: 'cut connections', share: 0.2 + 0.8 * random.next(), seed: random.below(2 ** 31) })],
    [5, () => ({ kind: 'break source' })],
    [5, () => ({ kind: 'fail source and resume' })],
    [5, () => ({ kind: 'pause and continue' })],
    [5, () => ({ kind: 'cancel and start again' })],
    [6, () => ({ kind: 'send again', topic: random.pick(RESENT_TOPICS), seed: random.below(2 ** 31) })],
    [5, () => ({ kind: 'compress topic', topic: random.pick(RESENT_TOPICS), codec: random.pick(CODECS) })],
    [6, () => ({ kind: 'send poison', topic: random.pick(POISONED_TOPICS) })],
    [8, () => ({ kind: 'write beside', seed: random.below(2 ** 31) })],
    [4, () => ({ kind: 'grow partitions', topic: random.pick(RESENT_TOPICS) })],
    [2, () => ({ kind: 'roll services' })],
    [
      2,
      () => ({ kind: 'lose tail', topic: random.pick(TRUNCATED_TOPICS), share: 0.2 + 0.6 * random.next() }),
    ],
    [4, () => ({ kind: 'fill disk', service: random.pick(SERVICES) })],
    [6, () => ({ kind: 'lose answers', service: random.pick(PRODUCERS), times: 1 + random.below(3) })],
  ];
  let draw = random.below(ways.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, make] of ways) {
    if (draw < weight) return make();
    draw -= weight;
  }
  throw new RangeError('Weights and draw do not fit.');
}

function pickPoint(random: SeededRandom, mode: WriteMode): Fault {
  const points = FAULT_POINTS.filter((point) => isPassed(point, mode));
  return { kind: 'point', point: random.pick(points), action: random.chance(0.65) ? 'kill' : 'stall' };
}

/** Whether a job of this mode comes by the point. */
export function isPassed(point: FaultPoint, mode: WriteMode): boolean {
  if (point === 'finalizer.in-merge') return mode !== 'replace';
  if (point === 'finalizer.before-swap' || point === 'finalizer.in-swap') return mode === 'replace';
  if (point === 'finalizer.settling' || point === 'finalizer.index-build') return mode !== 'upsert';
  return true;
}
