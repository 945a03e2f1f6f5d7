import { runService } from '#common/lifecycle/run-service.js';
import { serveOpenApi } from '#common/http/open-api.js';
import { IngestorConfig } from './ingestor.config.js';
import { IngestorModule } from './ingestor.module.js';
import { SOURCE_KINDS } from './sources/source-kinds.js';
import { SourceConfig } from './sources/source.config.js';

await runService({
  name: 'ingestor',
  settings: [IngestorConfig, SourceConfig, ...SOURCE_KINDS.settings()],
  consumes: false,
  module: (context) => IngestorModule.for(context),
  prepare: (app) => {
    serveOpenApi(
      app,
      'Sluice ingestor',
      'Starts jobs and streams, and pauses, continues, resumes and ends them.',
    );
  },
});
