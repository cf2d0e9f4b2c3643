/** Pure and adapter suites sit beside the code (libs/**); suites that need whole processes sit in test/. */
module.exports = {
  rootDir: __dirname,
  // That of node, which also sees to it that tests show what docs/conformance.md says.
  testEnvironment: '<rootDir>/test/support/jest-environment.ts',
  testMatch: ['<rootDir>/libs/**/*.spec.ts', '<rootDir>/test/**/*.spec.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.tools/', '<rootDir>/data/'],
  // Jest loads CommonJS only: packages that are ES modules alone are transformed as well.
  transformIgnorePatterns: ['/node_modules/(?!(@noble|@cto.af|cbor2)/)', '\\.pnp\\.[^/]+$'],
  transform: {
    '^.+\\.[jt]s$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
          keepClassNames: true,
        },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^#(domain|policy|sigv4|xks|audit-log|crypto|hsm|event-store|views|operations|platform)/(.*)$':
      '<rootDir>/libs/$1/src/$2',
  },
  testTimeout: 120_000,
};
