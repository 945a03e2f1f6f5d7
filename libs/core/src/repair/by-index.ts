/**
 * For the rest of a transaction that looks dead letters up page by page: their rows are in memory, because they were found or locked
 * just before, so a look-up costs no read from a disk. Without it the planner takes reading the whole table for cheaper, wherever that
 * has less than some hundred thousand rows, and it would read it for every page.
 */
export const BY_INDEX = 'SET LOCAL random_page_cost = 0';
