/** What Sluice knows of a row and of what has happened, also when services and the database are lost; and what it reports of itself. */
import { FAULT_ENV } from '../support/fault-rig.js';
import { measured } from './scenarios/measured.js';
import { provenance } from './scenarios/provenance.js';
import { rebuild } from './scenarios/rebuild.js';
import { onOneSystem } from './scenarios/scenario.js';
import { trace } from './scenarios/trace.js';

onOneSystem({ env: { ...FAULT_ENV, SLUICE_BATCH_RECORDS: '50' } }, [trace, provenance, measured, rebuild]);
