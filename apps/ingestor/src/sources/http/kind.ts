import { askAs, isTrusted } from '../caller.js';
import type { SourceKind } from '../source-kind.js';
import { HttpAddress } from './http-address.js';
import { HttpClient } from './http-client.js';
import { HttpDownload } from './http-download.js';
import { HttpConfig } from './http.config.js';

/** Resources of an HTTP server: identified by ETag, Last-Modified and size, resumed by Range. */
const kind: SourceKind<HttpAddress> = {
  name: 'http',
  schemes: ['http', 'https'],
  isLocal: false,
  form: 'http(s)://…',
  settings: [HttpConfig],
  parse: (text) => new HttpAddress(new URL(text)),
  ask: askAs,
  open: (address, { settings, own, lifetime, onRetry }) => {
    const config = settings.of(HttpConfig);
    const client = new HttpClient(config, lifetime, config.addressPolicy(isTrusted(own)));
    return new HttpDownload(client, address, config, lifetime.signal, onRetry).open();
  },
};

export default kind;
