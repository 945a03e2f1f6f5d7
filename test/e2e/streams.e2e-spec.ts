/** Streams, whatever is killed; at last everything is. */
import { FAULT_ENV } from '../support/fault-rig.js';
import { processes } from './scenarios/processes.js';
import { FIXTURE_DATASETS, onOneSystem } from './scenarios/scenario.js';
import { streams } from './scenarios/streams.js';

onOneSystem(
  { ingestors: 2, validators: 3, loaders: 3, env: { ...FAULT_ENV, SLUICE_DATASET_PATHS: FIXTURE_DATASETS } },
  [streams, processes],
);
