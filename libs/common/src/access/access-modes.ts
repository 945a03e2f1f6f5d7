/** `local`: only this machine reaches the port; `token`: every caller shows a token; `open`: a proxy has asked before. */
export const ACCESS_MODES = ['local', 'token', 'open'] as const;
export type AccessMode = (typeof ACCESS_MODES)[number];
