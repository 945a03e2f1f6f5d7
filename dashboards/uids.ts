/** Under which uid a dashboard is found; links and bookmarks depend on it. */
export const RUNBOOKS = 'sluice-runbooks';
