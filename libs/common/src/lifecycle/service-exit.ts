/** Exit codes of services; the supervisor restarts on any but 0 and 78 (wrong settings do not fix themselves). */
export const SERVICE_EXIT = { ok: 0, crashed: 70, drainTimedOut: 75, wrongSettings: 78 } as const;
