import { defineDataset } from '#core/dataset/define-dataset.js';
import { RegistrationOnly } from './contract.js';

/** What Kafka Connect's sink can fill as well: one row a message. */
export default defineDataset({
  title: 'Registrations without their industries, for the bench case stream-backlog',
  contract: RegistrationOnly,
  writeModes: ['upsert'],
  inbox: {},
});
