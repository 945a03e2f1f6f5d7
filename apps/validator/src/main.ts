import { runService } from '#common/lifecycle/run-service.js';
import { ValidatorConfig } from './validator.config.js';
import { ValidatorModule } from './validator.module.js';

await runService({
  name: 'validator',
  settings: [ValidatorConfig],
  consumes: true,
  module: (context) => ValidatorModule.for(context),
});
