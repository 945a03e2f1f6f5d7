import type { Tracing } from './traced-work.js';
import type { TracingParts } from './tracing.js';

/** @returns null without an endpoint: then OpenTelemetry is not even loaded */
export async function startTracing(parts: TracingParts): Promise<Tracing | null> {
  if (parts.endpoint === '') return null;
  const { OtlpTracing } = await import('./tracing.js');
  return new OtlpTracing(parts);
}
