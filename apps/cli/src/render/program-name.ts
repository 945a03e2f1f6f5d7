/** How a command is typed in a clone; what reports and notes suggest can be copied as it stands. */
export const PROGRAM = 'npx sluice';
