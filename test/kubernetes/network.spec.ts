import { describe, expect, it } from '@jest/globals';
import { type Labels, type Overlay, renderedOverlays } from './rendered.js';

interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}
interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}
interface Port {
  readonly port: number;
  readonly endPort?: number;
  readonly protocol: string;
}
interface Policy {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly { readonly from?: readonly Peer[]; readonly ports: readonly Port[] }[];
  readonly egress?: readonly { readonly to?: readonly Peer[]; readonly ports: readonly Port[] }[];
}

const NAMES = ['namespace kube-system:53/TCP', 'namespace kube-system:53/UDP'];
const PUBLIC = ['0.0.0.0/0:443/TCP', '0.0.0.0/0:80/TCP', '::/0:443/TCP', '::/0:80/TCP'];
const CLIENTS = ['sluice-client=true:3001/TCP', 'sluice-client=true:3004/TCP'];
const OF_DATABASE = ['sluice-ingestor', 'sluice-loader', 'sluice-migrate', 'sluice-tracker'];

/** Pod → where it may connect to. Everything else is refused. */
const EGRESS: Record<string, Record<string, string[]>> = {
  local: egressWith('app=kafka:9092/TCP', 'app=postgres:5432/TCP', {
    kafka: ['app=kafka:9092/TCP', ...NAMES],
    postgres: [],
  }),
  production: egressWith('192.0.2.0/25:9093/TCP', '192.0.2.128/25:5432/TCP', {}),
};

/** Pod → who may connect to it, at which port. */
const INGRESS: Record<string, Record<string, string[]>> = {
  local: {
    ...{ 'sluice-ingestor': CLIENTS, 'sluice-tracker': CLIENTS },
    ...{ 'sluice-loader': [], 'sluice-migrate': [], 'sluice-validator': [] },
    kafka: ['app=kafka:9092/TCP', 'sluice exists:9092/TCP'],
    postgres: [`app in ${[...OF_DATABASE].sort().join(' ')}:5432/TCP`],
  },
  production: {
    ...Object.fromEntries(
      ['sluice-ingestor', 'sluice-tracker'].map((name) => [
        name,
        [
          'namespace ingress:3001/TCP',
          'namespace ingress:3004/TCP',
          'namespace monitoring:3001-3004/TCP',
          ...CLIENTS,
        ],
      ]),
    ),
    ...Object.fromEntries(
      ['sluice-loader', 'sluice-validator'].map((name) => [name, ['namespace monitoring:3001-3004/TCP']]),
    ),
    'sluice-migrate': [],
  },
};

describe('a selector of pods', () => {
  it('takes labels and expressions together', () => {
    const selector: Selector = {
      matchLabels: { a: '1' },
      matchExpressions: [
        { key: 'b', operator: 'Exists' },
        { key: 'c', operator: 'In', values: ['x'] },
      ],
    };
    expect(isSelected({ a: '1', b: '', c: 'x' }, selector)).toBe(true);
    for (const labels of [
      { a: '2', b: '', c: 'x' },
      { a: '1', c: 'x' },
      { a: '1', b: '', c: 'y' },
    ])
      expect(isSelected(labels as unknown as Labels, selector)).toBe(false);
    expect(() => isSelected({}, { matchExpressions: [{ key: 'a', operator: 'NotIn' }] })).toThrow('NotIn');
  });
});

for (const overlay of renderedOverlays()) {
  describe(`the network of the overlay ${overlay.name}`, () => {
    it('refuses what no policy allows, for each pod, in and out', () => {
      for (const { name, labels } of overlay.workloads()) {
        const types = policiesOf(overlay, labels).flatMap(({ policyTypes }) => policyTypes);
        expect([name, types]).toEqual([name, expect.arrayContaining(['Ingress', 'Egress'])]);
      }
    });

    it('lets each pod connect to what it needs, and to nothing else', () => {
      const allowed = overlay
        .workloads()
        .map(({ name, labels }) => [name, allowedBy(policiesOf(overlay, labels), 'egress')] as const);
      expect(Object.fromEntries(allowed)).toEqual(EGRESS[overlay.name]);
    });

    it('lets each pod be reached by those who need it, and by no others', () => {
      const allowed = overlay
        .workloads()
        .map(({ name, labels }) => [name, allowedBy(policiesOf(overlay, labels), 'ingress')] as const);
      expect(Object.fromEntries(allowed)).toEqual(INGRESS[overlay.name]);
    });

    it('keeps sources away from private addresses, of the cluster or of the cloud', () => {
      const [rule] = overlay.find<Policy>('NetworkPolicy', 'sluice-sources').spec.egress ?? [];
      const except = rule?.to?.flatMap(({ ipBlock }) => ipBlock?.except ?? []);
      expect(except).toEqual(
        expect.arrayContaining([
          ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '127.0.0.0/8'],
          ...['fc00::/7', 'fe80::/10', '::1/128'],
        ]),
      );
    });
  });
}

function egressWith(kafka: string, postgres: string, servers: Record<string, string[]>) {
  return {
    'sluice-ingestor': [kafka, postgres, ...NAMES, ...PUBLIC].sort(),
    'sluice-loader': [kafka, postgres, ...NAMES].sort(),
    'sluice-migrate': [kafka, postgres, ...NAMES].sort(),
    'sluice-tracker': [kafka, postgres, ...NAMES].sort(),
    'sluice-validator': [kafka, ...NAMES].sort(),
    ...servers,
  };
}

function policiesOf(overlay: Overlay, labels: Labels): Policy[] {
  return overlay
    .all<Policy>('NetworkPolicy')
    .map(({ spec }) => spec)
    .filter(({ podSelector }) => isSelected(labels, podSelector));
}

/** `peer:port`, sorted. A rule without peers or ports would allow all: that is an error here. */
function allowedBy(policies: readonly Policy[], direction: 'ingress' | 'egress'): string[] {
  const rules = policies.flatMap((policy) =>
    direction === 'ingress'
      ? (policy.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (policy.egress ?? []).map(({ to, ports }) => ({ peers: to, ports })),
  );
  return rules
    .flatMap(({ peers = [], ports }) => {
      if (peers.length === 0) throw new TypeError(`A rule of ${direction} allows every address.`);
      return peers.flatMap((peer) => ports.map((port) => `${peerText(peer)}:${portText(port)}`));
    })
    .sort();
}

function peerText({ ipBlock, namespaceSelector, podSelector }: Peer): string {
  if (ipBlock !== undefined) return ipBlock.cidr;
  if (namespaceSelector !== undefined)
    return `namespace ${namespaceSelector.matchLabels?.['kubernetes.io/metadata.name'] ?? '?'}`;
  const { matchLabels = {}, matchExpressions = [] } = podSelector ?? {};
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values }) =>
      values === undefined ? `${key} ${operator.toLowerCase()}` : `${key} in ${[...values].sort().join(' ')}`,
    ),
  ].join(' and ');
}

function portText({ port, endPort, protocol }: Port): string {
  return `${endPort === undefined ? port : `${port}-${endPort}`}/${protocol}`;
}

function isSelected(labels: Labels, { matchLabels = {}, matchExpressions = [] }: Selector): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      if (operator === 'Exists') return key in labels;
      if (operator === 'In') return key in labels && values.includes(labels[key] ?? '');
      throw new TypeError(`The operator ${operator} is not known here.`);
    })
  );
}
