import type { Dataset } from '#core/dataset/dataset.js';
import { TaxRegistration } from './contract.js';
import { readPrologue } from './prologue.js';

export default {
  name: 'tax-registration',
  title: 'Business (tax) registrations of Taiwan, data.gov.tw no. 9400',
  contractVersion: 1,
  format: 'csv',
  contract: TaxRegistration,
  writeModes: ['replace', 'append', 'upsert'],
  keepOfDuplicates: 'first',
  maxRefusedShare: 0.05,
  maxShrinkShare: 0.2,
  options: { checksum: ['warn', 'off', 'reject'] },
  defaultSource: 'https://eip.fia.gov.tw/data/BGMOPEN1.csv',
  prologue: readPrologue,
} satisfies Dataset;
