import type { MetricList } from './metric-facts.js';

/** Metrics of the validator alone. */
export const VALIDATOR_METRICS = {
  sluice_validated_records_total: {
    type: 'counter',
    unit: 'records',
    help: 'Records validated, by verdict. Repeats after a restart count again.',
    labels: ['dataset', 'verdict'],
    from: ['validator'],
    lookWhen: 'the share of refused records changes',
  },
  sluice_validated_batches_total: {
    type: 'counter',
    unit: 'batches',
    help: 'Raw batches taken: validated, or passed on with a fault that ends or pauses their job. Repeats after a restart count again.',
    labels: ['dataset', 'outcome'],
    from: ['validator'],
    lookWhen: '`fault` rises: the job shows why',
  },
  sluice_validated_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of the source in those batches',
    labels: ['dataset', 'outcome'],
    from: ['validator'],
    lookWhen: 'you compare the speed of stages',
  },
  sluice_findings_total: {
    type: 'counter',
    unit: 'findings',
    help: 'Findings, errors and warnings, by code, and by what they are about: structure, value, rule, key, reference or database. Repeats after a restart count again.',
    labels: ['dataset', 'code', 'category'],
    from: ['validator'],
    lookWhen: 'you ask why records are refused',
  },
  sluice_in_flight_limit_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'Bound of `sluice_in_flight_bytes`; one batch at most goes beyond it',
    labels: [],
    from: ['validator'],
    lookWhen: 'you compare it with `sluice_in_flight_bytes`',
  },
  sluice_waiting_deliveries: {
    type: 'gauge',
    unit: 'deliveries',
    help: 'Deliveries that wait until batches before them are published',
    labels: [],
    from: ['validator'],
    lookWhen: 'validation is slow: above 0 the brokers are slower than the validator',
  },
} as const satisfies MetricList;
