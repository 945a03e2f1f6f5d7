import { defineDataset } from '#core/dataset/define-dataset.js';
import { TaxRegistration } from './contract.js';
import { readPrologue } from './prologue.js';

export default defineDataset({
  name: 'tax-registration',
  title: 'Business (tax) registrations of Taiwan, data.gov.tw no. 9400',
  contract: TaxRegistration,
  writeModes: ['replace', 'append', 'upsert'],
  keepOfDuplicates: 'first',
  inbox: {},
  options: { checksum: ['warn', 'off', 'reject'] },
  defaultSource: 'https://eip.fia.gov.tw/data/BGMOPEN1.csv',
  prologue: readPrologue,
});
