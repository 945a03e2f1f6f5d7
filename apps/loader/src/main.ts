import { runService } from '#common/lifecycle/run-service.js';
import { FinalizeConfig } from './finalize/finalize.config.js';
import { LoaderConfig } from './loader.config.js';
import { LoaderModule } from './loader.module.js';
import { WatchConfig } from './watch/watch.config.js';

await runService({
  name: 'loader',
  settings: [LoaderConfig, FinalizeConfig, WatchConfig],
  consumes: true,
  module: (context) => LoaderModule.for(context),
});
