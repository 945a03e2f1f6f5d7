/** Datasets that no stage knows, in batches of few records; traced. */
import { OtlpReceiver } from '../support/otlp-receiver.js';
import { cloudwatch } from './scenarios/cloudwatch.js';
import { deletes } from './scenarios/deletes.js';
import { nestedChildren } from './scenarios/nested-children.js';
import { repairEdits } from './scenarios/repair-edits.js';
import { onOneSystem } from './scenarios/scenario.js';
import { traces } from './scenarios/traces.js';
import { writtenOtherwise } from './scenarios/written-otherwise.js';

const receiver = await OtlpReceiver.start();

onOneSystem({ env: { SLUICE_BATCH_RECORDS: '3', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url } }, [
  nestedChildren,
  writtenOtherwise,
  deletes,
  repairEdits,
  cloudwatch,
  traces(receiver),
]);
