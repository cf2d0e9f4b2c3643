/** A secret that must not be found, in every form that a leak of it would have. */
export interface Secret {
  name: string;
  forms: readonly { what: string; bytes: Buffer }[];
}

/** Of raw bytes. */
export function secretBytes(name: string, raw: Buffer): Secret {
  const texts: [string, string][] = [
    ['hex', raw.toString('hex')],
    ['HEX', raw.toString('hex').toUpperCase()],
    ...[0, 1, 2].map((shift): [string, string] => ['base64', base64At(raw, shift)]),
    // As JSON has a Buffer, and a log an array.
    ['decimal', [...raw].join(',')],
  ];
  const half = raw.length / 2;
  return {
    name,
    forms: [
      { what: 'raw', bytes: raw.subarray(0, half) },
      { what: 'raw', bytes: raw.subarray(half) },
      ...texts.flatMap(([what, text]) => ofText(what, text)),
      ...ofText('base64url', base64At(raw, 0).replaceAll('+', '-').replaceAll('/', '_')),
    ],
  };
}

/** Of what is a text itself. */
export const secretText = (name: string, text: string): Secret => ({ name, forms: ofText('text', text) });

/** As one byte a character, and as two, which JavaScript has for some strings. */
const ofText = (what: string, text: string): Secret['forms'] => [
  { what, bytes: Buffer.from(text, 'latin1') },
  { what: `${what} in two bytes a character`, bytes: Buffer.from(text, 'utf16le') },
];

/** The characters that are the same whatever comes before and after it, where it begins `shift` bytes after a multiple of three. */
function base64At(raw: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), raw])
    .toString('base64')
    .replace(/=+$/, '');
  const begin = Math.ceil((shift * 8) / 6);
  const end = Math.floor(((shift + raw.length) * 8) / 6);
  return text.slice(begin, end);
}
