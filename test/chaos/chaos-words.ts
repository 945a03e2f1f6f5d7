import type { Fault, Moment, RoundPlan } from './chaos-plan.js';

/** Plans in words, for the person who watches a run. */

/** `upsert of 4,321 rows by http: at 40 % kill loader-2, kill kafka; when finalizing stall loader; in the stream kill at stream.range-open` */
export function planText({ mode, source, file, steps, beside }: RoundPlan): string {
  const what = `${mode} of ${file.rows.toLocaleString('en')} rows by ${source}`;
  const parts = steps.map(({ at, faults }) => `${momentText(at)} ${faults.map(faultText).join(', ')}`);
  return `${what}: ${parts.join('; ')}; in the stream ${faultText(beside)}`;
}

export function momentText(at: Moment): string {
  if (at === 'start') return 'from the start';
  return at === 'finalizing' ? 'when finalizing' : `at ${Math.round(at.loadedShare * 100)} %`;
}

/** Also the kind under which faults are counted. */
export function faultText(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'terminate':
    case 'stall':
      return `${fault.kind} ${fault.process}`;
    case 'point':
      return `${fault.action} at ${fault.point}`;
    case 'send again':
      return `send ${fault.topic} messages again`;
    case 'lose answers':
      return `lose answers to ${fault.service}`;
    case 'compress topic':
      return `compress ${fault.topic} with ${fault.codec}`;
    case 'send poison':
      return `send poison to ${fault.topic}`;
    case 'grow partitions':
      return `grow partitions of ${fault.topic}`;
    case 'lose tail':
      return `lose the tail of ${fault.topic}`;
    case 'fill disk':
      return `fill the disk under ${fault.service}`;
    case 'write beside':
    case 'roll services':
    case 'cut connections':
    case 'break source':
    case 'fail source and resume':
    case 'pause and continue':
    case 'cancel and start again':
      return fault.kind;
  }
}

/** `kill loader-2` and `kill loader` are one kind. */
export function kindText(fault: Fault): string {
  return faultText(fault).replace(/-2$/, '');
}
