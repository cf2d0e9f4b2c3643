import { type Certificate, type NotOfThePki, parseCertificate } from './certificate';

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** The certificates of a PEM file, which must be authorities. Throws Error, to be shown to whoever set the file. */
export function parseTrustedRoots(pem: string): Certificate[] {
  const found = [...pem.matchAll(PEM)].map(([, base64], at) => rootOf(base64!, `certificate ${at + 1}`));
  if (found.length === 0) throw new Error('it has no certificate in PEM');
  return found;
}

function rootOf(base64: string, what: string): Certificate {
  let root: Certificate;
  try {
    root = parseCertificate(Buffer.from(base64, 'base64'));
  } catch (error) {
    throw new Error(`${what} ${(error as NotOfThePki).message}`, { cause: error });
  }
  if (!root.isAuthority || !root.signsCertificates) throw new Error(`${what} is not that of an authority`);
  return root;
}
