import { serveOpenApi } from '#common/http/open-api.js';
import { runService } from '#common/lifecycle/run-service.js';
import { TrackerConfig } from './tracker.config.js';
import { TrackerModule } from './tracker.module.js';

await runService({
  name: 'tracker',
  settings: [TrackerConfig],
  consumes: true,
  module: (context) => TrackerModule.for(context),
  prepare: (app) => {
    serveOpenApi(app, 'Sluice tracker', 'What became of jobs, batches and records.');
  },
});
