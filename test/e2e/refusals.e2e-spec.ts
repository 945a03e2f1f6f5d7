/** What is refused, whole or record by record, is reported with its reason. */
import { badRecords } from './scenarios/bad-records.js';
import { BAD_SOURCES_ENV, badSources } from './scenarios/bad-sources.js';
import { onOneSystem } from './scenarios/scenario.js';

onOneSystem({ env: BAD_SOURCES_ENV }, [badSources, badRecords]);
