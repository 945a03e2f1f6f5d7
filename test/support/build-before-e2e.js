/** Jest's global set-up of the e2e project: its systems run from `dist`, which must not be older than the sources. */
import { build, isBuilt } from '../../scripts/build.js';

export default function buildBeforeE2e() {
  // `npm test` has built already, and a build in the middle of its run would change what is being tested.
  if (process.env.SLUICE_TEST_BUILT !== '1' && !isBuilt()) build();
}
