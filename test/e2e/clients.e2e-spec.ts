/** What speaks to a system from outside: the command line and producers that others wrote. */
import { cli } from './scenarios/cli.js';
import { producers } from './scenarios/producers.js';
import { onOneSystem } from './scenarios/scenario.js';

onOneSystem({}, [cli, producers]);
