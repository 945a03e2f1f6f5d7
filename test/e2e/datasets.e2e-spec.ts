/** Datasets that no stage knows, in batches of few records. */
import { deletes } from './scenarios/deletes.js';
import { nestedChildren } from './scenarios/nested-children.js';
import { repairEdits } from './scenarios/repair-edits.js';
import { writtenOtherwise } from './scenarios/written-otherwise.js';
import { onOneSystem } from './scenarios/scenario.js';

onOneSystem({ env: { SLUICE_BATCH_RECORDS: '3' } }, [nestedChildren, writtenOtherwise, deletes, repairEdits]);
