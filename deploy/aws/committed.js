/**
 * The files that are made from the code of this folder and committed, so that they can be read, and tested without the 300 MB
 * of the CDK.
 */
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { agentConfiguration } from './agent.js';
import { makeStack } from './sluice-stack.js';

/** @type {import('./settings.js').StackSettings} */
export const EXAMPLE = { environment: 'production', mail: 'operations@example.com', retentionDays: 90 };

export function exampleTemplate(settings = EXAMPLE) {
  return Template.fromStack(makeStack(new App({ analyticsReporting: false }), settings));
}

/** @param {Template} template @returns {Record<string, string>} name of a file in this folder → its text */
export function committedFiles(template) {
  return {
    'template.json': asText(template.toJSON()),
    'agent.json': asText(agentConfiguration(EXAMPLE.environment)),
  };
}

/** @param {unknown} value */
function asText(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}
