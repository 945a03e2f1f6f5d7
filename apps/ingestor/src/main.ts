import { runService } from '#common/lifecycle/run-service.js';
import { serveOpenApi } from '#common/http/open-api.js';
import { IngestorConfig } from './ingestor.config.js';
import { IngestorModule } from './ingestor.module.js';

await runService({
  name: 'ingestor',
  config: IngestorConfig,
  consumes: false,
  module: (context) => IngestorModule.for(context),
  prepare: (app) => {
    serveOpenApi(
      app,
      'Sluice ingestor',
      'Starts jobs, and pauses, continues, resumes, cancels and discards them.',
    );
  },
});
