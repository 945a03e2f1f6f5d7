/** Streams, whatever is killed. */
import { FAULT_ENV } from '../support/fault-rig.js';
import { streams } from './scenarios/streams.js';
import { FIXTURE_DATASETS, onOneSystem } from './scenarios/scenario.js';

onOneSystem({ ingestors: 2, env: { ...FAULT_ENV, SLUICE_DATASET_PATHS: FIXTURE_DATASETS } }, [streams]);
