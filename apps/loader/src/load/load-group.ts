import type { GroupBounds } from '#common/kafka/message-groups.js';

/** A transaction takes up to six batches of the usual size: fewer commits, little to repeat. */
export const LOAD_GROUP: GroupBounds = { maxGroupBytes: 4 * 1024 * 1024, maxGroupMessages: 64 };
