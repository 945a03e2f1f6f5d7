import { runService } from '#common/lifecycle/run-service.js';
import { LoaderConfig } from './loader.config.js';
import { LoaderModule } from './loader.module.js';

await runService({
  name: 'loader',
  config: LoaderConfig,
  consumes: true,
  module: (context) => LoaderModule.for(context),
});
