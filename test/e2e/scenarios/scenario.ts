/**
 * A system costs more than most tests on it, so those that do not care what else has run on it share one. A scenario is such a
 * set of tests; a file `*.e2e-spec.ts` names the scenarios that run, one after the other, on the system that it starts.
 *
 * - SC1: a scenario's datasets, tables and topics are its own. Those that all systems have it empties at its beginning; of jobs,
 *   dead letters and replays it asks only for its own.
 * - SC2: it leaves every process running and no job under way. Only the last one of a file may leave less.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { checkoutFolder } from '#local/folders.js';
import { type DatasetFiles, type System, type SystemOptions, startSystem } from '../../support/system.js';

/** The system, once it is started: to be called in hooks and tests. */
export type Running = () => System;

export interface Scenario {
  readonly datasets: DatasetFiles;
  readonly register: (running: Running) => void;
}

/** For `SLUICE_DATASET_PATHS`: webshop-orders. */
export const FIXTURE_DATASETS = join(checkoutFolder(), 'dist', 'test', 'fixtures', 'datasets');

/** @param tests as the body of a `describe` */
export function scenario(title: string, datasets: DatasetFiles, tests: (running: Running) => void): Scenario {
  return {
    datasets,
    register: (running) => {
      describe(title, () => {
        tests(running);
      });
    },
  };
}

/** Registers the start of a system with the datasets of all scenarios, their tests, and its end. */
export function onOneSystem(options: SystemOptions, scenarios: readonly Scenario[]): void {
  let system: System;

  beforeAll(async () => {
    const datasets = Object.assign({}, ...scenarios.map((each) => each.datasets)) as DatasetFiles;
    system = await startSystem({ ...options, datasets });
  });

  afterAll(() => system.stop());

  for (const { register } of scenarios) register(() => system);
}
