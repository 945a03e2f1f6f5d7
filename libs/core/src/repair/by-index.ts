/**
 * For the rest of a transaction that looks dead letters up page by page. Below some hundred thousand of them the planner takes reading
 * the whole table for cheaper than looking up those of one page, and it would read it for every page.
 */
export const BY_INDEX = 'SET LOCAL enable_seqscan = off';
