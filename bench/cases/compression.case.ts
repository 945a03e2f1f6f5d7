import { pino } from 'pino';
import { createKafka } from '#common/kafka/client/kafka-client.js';
import type { BenchCase } from '../bench-case.js';
import type { Run } from '../report/result.js';
import { type RatioQuestion, ratiosOf } from '../report/statistics.js';
import { COMPRESSIONS, type Compression, addCodecs, connectSender } from '../stages/compressing.js';
import { judgeSlice } from '../stages/judging.js';
import { RegistrationSlice } from '../stages/registrations.js';
import { StageRuns } from '../stages/stage-run.js';
import { measureThereAndBack } from '../stages/there-and-back.js';
import { cleanMessagesOf, rawMessagesOf } from '../stages/through-kafka.js';
import { rotated } from './in-turns.js';

const ALL = Object.keys(COMPRESSIONS) as Compression[];
const NONE = labelsOf('none');

const RATIOS: readonly RatioQuestion[] = ALL.filter((kind) => kind !== 'none')
  .map(labelsOf)
  .flatMap(({ produce, consume }) => [
    { name: `${produce} to none`, of: produce, to: NONE.produce, target: null },
    { name: `${consume} to none`, of: consume, to: NONE.consume, target: null },
  ]);

/** What compressing raw and clean batches costs and saves: the choice behind docs/decisions/0010. */
export const compression: BenchCase = {
  name: 'compression',
  about: 'raw and clean batches to the broker and back, by the kind of compression',
  // 100 MB of raw batches, and more of clean ones.
  defaultRows: 640_000,
  async run(bench) {
    addCodecs();
    const system = await bench.system();
    const kafka = createKafka({
      ...{ brokers: system.kafkaBrokers, clientId: 'bench' },
      logger: pino({ level: 'silent' }),
    });
    const judged = judgeSlice(new RegistrationSlice(bench.rows));
    const clean = cleanMessagesOf(judged);
    // The raw one last: it is counted, and the last count ends it.
    const messages = rawMessagesOf(judged).flatMap((raw, at) => [...clean.slice(at, at + 1), raw]);
    const stageRuns = new StageRuns();
    const runs: Run[] = [];
    for (let round = 1; round <= bench.rounds; round++) {
      for (const kind of rotated(ALL, round - 1)) {
        bench.say(`  round ${round}, ${kind}`);
        const { send, disconnect } = await connectSender(kafka, COMPRESSIONS[kind]);
        const freight = { messages, kinds: ['raw', 'clean'], rows: bench.rows, send } as const;
        runs.push(...(await measureThereAndBack(system, kafka, stageRuns, round, labelsOf(kind), freight)));
        await disconnect();
      }
    }
    return {
      ...{ name: 'compression', rows: bench.rows, runs, ratios: ratiosOf(runs, RATIOS) },
      notes: [
        stageRuns.rates(runs),
        'MB/s are those of the batches before compression; broker bytes are those of the log.',
        'Snappy and lz4 are native libraries. zstd was not tried: Node has it from 22.15 on, and no library that needs no compiler was found.',
      ],
    };
  },
};

function labelsOf(kind: Compression): { readonly produce: string; readonly consume: string } {
  return { produce: `produce-${kind}`, consume: `consume-${kind}` };
}
