import { type SourceKindRegistry, loadSourceKinds } from './source-kind-registry.js';

/** The kinds of this ingestor. A constant: the API's description of `source` is made while classes are defined. */
export const SOURCE_KINDS: SourceKindRegistry = await loadSourceKinds();
