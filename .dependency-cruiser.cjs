/** Who may depend on whom; test/architecture.spec.ts runs it. Direction: apps, platform, operations, adapters, crypto, domain. */
const BELOW = {
  domain: [],
  policy: ['domain'],
  sigv4: ['domain'],
  xks: ['sigv4', 'domain'],
  'audit-log': ['domain'],
  crypto: ['domain'],
  'event-store': ['domain'],
  views: ['event-store', 'domain'],
  hsm: ['event-store', 'xks', 'sigv4', 'crypto', 'domain'],
  operations: ['views', 'hsm', 'policy', 'event-store', 'xks', 'audit-log', 'crypto', 'domain'],
  platform: ['operations', 'views', 'hsm', 'policy', 'event-store', 'xks', 'sigv4', 'audit-log', 'crypto', 'domain'],
};
const SPEC = '\\.(spec|suite)\\.ts$';
const PURE = '^libs/(domain|policy|sigv4|xks|crypto|audit-log)/';

const direction = Object.entries(BELOW).map(([lib, below]) => ({
  name: `${lib}-depends-only-on-what-is-below-it`,
  severity: 'error',
  from: { path: `^libs/${lib}/`, pathNot: SPEC },
  to: { path: '^(libs|apps)/', pathNot: `^libs/(${[lib, ...below].join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...direction,
    {
      name: 'no-way-sideways-between-apps',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'pure-libs-touch-no-outer-world',
      severity: 'error',
      from: { path: PURE, pathNot: SPEC },
      to: { path: '(^|/)(@nestjs|nats|fs|child_process)(/|$)' },
    },
    {
      name: 'only-platform-and-apps-know-nest',
      severity: 'error',
      from: { path: '^libs/', pathNot: '^libs/platform/' },
      to: { path: '(^|/)@nestjs/' },
    },
    {
      name: 'every-import-resolves',
      severity: 'error',
      from: { path: '^(libs|apps)/' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    // Sources before dist: '#lib/*' goes through the paths of tsconfig.json, not through "imports" of package.json.
    // Packages of ES modules alone have nothing but "exports".
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
