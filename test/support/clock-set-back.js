/**
 * Preloaded into a service (`NODE_OPTIONS=--import=…`): SIGUSR2 sets its clock back by an hour, as an operator or a
 * time server may. Only the clock of the wall: `performance.now()` and timers continue, as they do in life.
 */
const BACK_MS = 60 * 60 * 1000;
const RealDate = Date;
let offsetMs = 0;

globalThis.Date = class extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(RealDate.now() - offsetMs);
    else super(...given);
  }

  static now() {
    return RealDate.now() - offsetMs;
  }
};

process.on('SIGUSR2', () => {
  offsetMs += BACK_MS;
});
