import { generateKeyPairSync } from 'node:crypto';
import { certificate, pemOf } from '../../../test/support/attestation-documents';
import { findOpenssl } from '../../../test/support/certificates';
import { signedByOwner } from '../../../test/support/cluster-certificates';
import { opensslWith } from '../../../test/support/openssl';
import { certificateProblem, clusterCsr, csrKey } from './cluster-certificate';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const csr = clusterCsr('cluster-abcdefghijk', privateKey);
const signing = findOpenssl() === undefined ? test.skip : test;

signing('the request of a cluster is one that openssl verifies, of its key and name', () => {
  const told = opensslWith(
    { 'cluster.csr': Buffer.from(csr) },
    'out.txt',
    ...['req', '-in', 'cluster.csr', '-verify', '-subject', '-noout', '-out', 'out.txt'],
  ).toString();
  expect(told).toMatch(/CN ?= ?cluster-abcdefghijk/);
  expect(csrKey(csr).equals(publicKey)).toBe(true);
});

test('a certificate by its owner is taken, whatever its dates', () => {
  const { SignedCert, TrustAnchor } = signedByOwner(csr);
  expect(certificateProblem(csr, SignedCert, TrustAnchor)).toBeUndefined();
});

test.each([
  ['no certificate', () => ['text', signedByOwner(csr).TrustAnchor], /^SignedCert: expected a certificate/],
  ['no authority', () => [signedByOwner(csr).SignedCert, ''], /^TrustAnchor: expected a certificate/],
  [
    'another authority',
    () => [signedByOwner(csr).SignedCert, pemOf(certificate(Date.now(), { name: 'owner' }))],
    /not signed by TrustAnchor/,
  ],
  [
    'the key of another cluster',
    () => {
      const other = clusterCsr('cluster-bbbbbbbbbbb', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
      const { SignedCert, TrustAnchor } = signedByOwner(other);
      return [SignedCert, TrustAnchor];
    },
    /not for the key/,
  ],
])('a certificate with %s is not', (_what, given, problem) => {
  const [signed, anchor] = given() as [string, string];
  expect(certificateProblem(csr, signed, anchor)).toMatch(problem);
});
