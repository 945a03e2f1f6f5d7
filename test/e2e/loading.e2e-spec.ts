/** From files to tables in every mode, in small batches that two validators and two loaders share; and all processes lost at last. */
import { FAULT_ENV } from '../support/fault-rig.js';
import { modes } from './scenarios/modes.js';
import { oracle } from './scenarios/oracle.js';
import { processes } from './scenarios/processes.js';
import { FIXTURE_DATASETS, onOneSystem } from './scenarios/scenario.js';
import { writeModes } from './scenarios/write-modes.js';

onOneSystem(
  {
    validators: 2,
    loaders: 2,
    env: {
      ...FAULT_ENV,
      SLUICE_DATASET_PATHS: FIXTURE_DATASETS,
      SLUICE_BATCH_BYTES: String(16 * 1024),
    },
  },
  [modes, writeModes, oracle, processes],
);
