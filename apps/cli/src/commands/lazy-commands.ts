/** Commands of which each is loaded when it runs: together they are half of all modules, and no other command waits for them. */

export const check: typeof import('./check/check.js').check = async (...given) =>
  (await import('./check/check.js')).check(...given);

export const demo: typeof import('./demo/demo.js').demo = async (...given) =>
  (await import('./demo/demo.js')).demo(...given);

export const newDataset: typeof import('./new-dataset/new-dataset.js').newDataset = async (...given) =>
  (await import('./new-dataset/new-dataset.js')).newDataset(...given);
