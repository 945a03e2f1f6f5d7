/** From files to tables in every mode, in small batches that two validators and two loaders share. */
import { modes } from './scenarios/modes.js';
import { oracle } from './scenarios/oracle.js';
import { FIXTURE_DATASETS, onOneSystem } from './scenarios/scenario.js';
import { writeModes } from './scenarios/write-modes.js';

onOneSystem(
  {
    validators: 2,
    loaders: 2,
    env: { SLUICE_DATASET_PATHS: FIXTURE_DATASETS, SLUICE_BATCH_BYTES: String(16 * 1024) },
  },
  [modes, writeModes, oracle],
);
