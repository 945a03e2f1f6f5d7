/** What `npx cdk` runs in this folder: the stack, from the context parameters of the command line and cdk.json. */
import { App } from 'aws-cdk-lib';
import { stackSettings } from './settings.js';
import { makeStack } from './sluice-stack.js';

const app = new App();
makeStack(
  app,
  stackSettings((name) => app.node.tryGetContext(name)),
);
