import { Matches } from 'class-validator';
import { Variable } from '../../config/environment.js';

/** Where traces go. The exporter reads the other variables of its name by itself: headers, time-out, certificates. */
export class TraceConfig {
  @Variable(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'Receiver of traces by OTLP over HTTP, such as http://collector:4318; empty: no traces',
  )
  @Matches(/^$|^https?:\/\/[^\s@?#]+$/, {
    message: 'endpoint must be an http(s) address without credentials',
  })
  endpoint: string = '';
}
