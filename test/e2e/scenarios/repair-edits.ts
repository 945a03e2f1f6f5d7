/**
 * Refused records are corrected the ways that people have: in an editor, by a rule, in a spreadsheet; on the command line, against
 * a whole system. What was not corrected keeps its bytes, and what a dry run says is what the contract says.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import type { DeadLettersChecked, DeadLettersEdited } from '#api/dead-letter-edits.js';
import type { JobDetail } from '#api/jobs.js';
import { query } from '../../support/expect-tables.js';
import { CliHarness } from '../../support/cli/cli-harness.js';
import { runJob } from '../../support/run-job.js';
import type { System } from '../../support/system.js';
import { scenario } from './scenario.js';

const DATASET = 'edited-prices';
const DATASET_JS = `
  import { Column, Table } from '#core/dataset/columns.js';
  import { defineDataset } from '#core/dataset/define-dataset.js';
  import { int64, varchar } from '#core/dataset/kinds.js';
  class Price {}
  Column({ kind: int64(), required: { code: 'NO_ARTICLE' } })(Price.prototype, 'article');
  Column({ kind: varchar(40) })(Price.prototype, 'name');
  Column({ kind: int64(), required: { code: 'NO_PRICE' } })(Price.prototype, 'price');
  Table({ name: 'edited_price', key: ['article'] })(Price);
  export default defineDataset({ title: 'Prices', contract: Price, maxRefusedShare: 1 });`;

const RECORDS = [
  '1,good,10',
  '2,"a ""b"", c",1O',
  ' 3 ,b,x',
  '4,=1+1,12 EUR',
  '5,c',
  '"6,d,5',
  '7,e,',
  '8,f,9 EUR',
];

const FILES = { [`${DATASET}/dataset.js`]: DATASET_JS };

export const repairEdits = scenario('corrections of refused records', FILES, (running) => {
  let system: System;
  let folder: string;
  let job: JobDetail;
  let cli: CliHarness;

  beforeAll(async () => {
    system = running();
    folder = join(system.folder, DATASET);
    mkdirSync(folder);
    const source = join(folder, 'prices.csv');
    writeFileSync(source, `article,name,price\n${RECORDS.join('\n')}\n`);
    job = await runJob(system, { dataset: DATASET, source });
    expect(job).toMatchObject({ state: 'succeeded', counts: { loaded: 1, refused: 7 } });
  });

  const run = async <T>(...args: string[]): Promise<T> => {
    cli = new CliHarness();
    cli.cwd = folder;
    cli.environment = {
      SLUICE_INGESTOR_URL: system.ingestorUrl,
      SLUICE_TRACKER_URL: system.trackerUrl,
      VISUAL: join(folder, 'editor.sh'),
    };
    const code = await cli.run('dead-letters', ...args, '--json');
    expect([args, code, cli.stderr.text]).toEqual([args, 0, '']);
    return JSON.parse(cli.stdout.text) as T;
  };
  const edits = (): Promise<{ text: string }[]> =>
    query(
      system,
      `SELECT record || ' ' || convert_from(bytes, 'UTF8') AS text FROM sluice.dead_letter_edit WHERE job = $1
       ORDER BY record`,
      [job.id],
    );
  const id = (record: number): string => `${job.id}:${record}`;
  const OF_JOB = (): string[] => ['--job', job.id];

  it('in the editor', async () => {
    writeFileSync(join(folder, 'editor.sh'), `#!/bin/sh\nsed -i 's/,1O$/,10/' "$1"\n`);
    chmodSync(join(folder, 'editor.sh'), 0o755);
    const answer = await run<DeadLettersEdited>('edit', id(1), '--reason', 'a letter for a digit');
    expect(answer).toMatchObject({ edited: 1, check: { passing: 1 } });
    expect(await edits()).toEqual([{ text: '1 2,"a ""b"", c",10' }]);
  });

  it('by a rule, tried before', async () => {
    const rule = ['fix', ...OF_JOB(), '--code', 'NO_PRICE', '--set', 'price=0'];
    const dry = await run<DeadLettersEdited>(...rule, '--dry-run');
    expect(dry).toMatchObject({ action: null, edited: 1, check: { passing: 1, refused: 0 } });
    expect((await edits()).length).toBe(1);
    expect(await run<DeadLettersEdited>(...rule, '--yes')).toMatchObject({ edited: 1, problems: [] });
    const answer = await run<DeadLettersEdited>('fix', id(3), id(7), id(99), '--replace', 'price=/ EUR$//');
    expect(answer).toMatchObject({ edited: 2, problems: [{ code: 'UNKNOWN', ids: [id(99)] }] });
    expect((await edits()).map(({ text }) => text)).toContain('3 4,=1+1,12');
  });

  it('in an export that finds its dead letters again', async () => {
    await run('export', 'refused.csv', ...OF_JOB());
    const file = readFileSync(join(folder, 'refused.csv'), 'utf8');
    expect(file.split('\r\n')[0]).toBe('\ufeff_dead_letter,_reasons,article,name,price,_record');
    expect(await run<DeadLettersEdited>('import', 'refused.csv')).toMatchObject({
      edited: 0,
      unchanged: 7,
      problems: [],
    });
    const corrected = file
      .replace(`," 3 ",b,x,`, `," 3 ",b,30,`)
      .replace(`,"5,c"`, `,"5,c,50"`)
      .replace(`,"""6,d,5"`, `,"6,d,60"`);
    writeFileSync(join(folder, 'corrected.csv'), corrected);
    const answer = await run<DeadLettersEdited>('import', 'corrected.csv');
    expect(answer).toMatchObject({
      edited: 3,
      unchanged: 4,
      problems: [],
      warnings: [],
      check: { passing: 3 },
    });
    expect((await edits()).map(({ text }) => text)).toEqual([
      '1 2,"a ""b"", c",10',
      '2  3 ,b,30',
      '3 4,=1+1,12',
      '4 5,c,50',
      '5 6,d,60',
      '6 7,e,0',
      '7 8,f,9',
    ]);
  });

  it('and then all of them would pass, while they are open and nothing is loaded yet', async () => {
    const { check } = await run<DeadLettersChecked>('check', ...OF_JOB());
    expect(check).toMatchObject({ checked: 7, passing: 7, refused: 0, unsendable: 0 });
    expect(
      await query(
        system,
        `SELECT count(*)::integer AS open FROM sluice.dead_letter WHERE state = 'open' AND job = $1`,
        [job.id],
      ),
    ).toEqual([{ open: 7 }]);
    expect(await query(system, 'SELECT article::integer FROM edited_price')).toEqual([{ article: 1 }]);
  });
});
