import type { SourceKind } from '../source-kind.js';
import { HttpAddress } from './http-address.js';
import { HttpClient } from './http-client.js';
import { HttpDownload } from './http-download.js';

/** Resources of an HTTP server: identified by ETag, Last-Modified and size, resumed by Range. */
const kind: SourceKind<HttpAddress> = {
  name: 'http',
  schemes: ['http', 'https'],
  isLocal: false,
  form: 'http(s)://…',
  parse: (text) => new HttpAddress(new URL(text)),
  open: (address, { settings, trustedCaller, lifetime }) => {
    const client = new HttpClient(settings, lifetime, settings.addressPolicy(trustedCaller));
    return new HttpDownload(client, address, settings, lifetime.signal).open();
  },
};

export default kind;
