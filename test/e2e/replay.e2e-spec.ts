/** Records and jobs that are sent again, whatever is killed, in batches of few records. */
import { FAULT_ENV } from '../support/fault-rig.js';
import { repairResubmit } from './scenarios/repair-resubmit.js';
import { replay } from './scenarios/replay.js';
import { onOneSystem } from './scenarios/scenario.js';

onOneSystem({ ingestors: 2, env: { ...FAULT_ENV, SLUICE_BATCH_RECORDS: '7' } }, [repairResubmit, replay]);
