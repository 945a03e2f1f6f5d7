import { askAs, isTrusted } from '../caller.js';
import type { SourceKind } from '../source-kind.js';
import { type FileAddress, parseFileAddress } from './file-address.js';
import { openFile } from './file-source.js';
import { FileConfig } from './file.config.js';

/** Files of the ingestor's own machine: by size and time of writing identified, resumed at any byte. */
const kind: SourceKind<FileAddress> = {
  name: 'file',
  schemes: ['file'],
  isLocal: true,
  form: 'file:///… or an absolute path',
  settings: [FileConfig],
  parse: parseFileAddress,
  ask: askAs,
  open: (address, { settings, own, lifetime }) =>
    openFile(address, isTrusted(own) ? null : settings.of(FileConfig).folders(), lifetime),
};

export default kind;
