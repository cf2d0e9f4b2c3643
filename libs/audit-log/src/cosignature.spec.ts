import { openCheckpoint } from './checkpoint';
import { cosign, cosignedMessage, parseCosignature, verifyCosignatures } from './cosignature';
import { encodeNote, parseNote, signaturesBy, signNote } from './note';
import { parseVerifierKey, signerKey, signWith } from './note-key';
import { MalformedError, NotProvedError } from './proof-errors';

/** A checkpoint of the staging log arche2025h1 of 2026, as its witnesses have signed it; their keys are public. */
const CHECKPOINT = `arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

\u2014 arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
\u2014 arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
\u2014 transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
\u2014 witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
\u2014 remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
\u2014 witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
`;
const LOG = parseVerifierKey(
  'arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f',
);
const WITNESSES = [
  'transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM',
  'witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO',
  'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2',
  'witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv',
].map((key) => parseVerifierKey(key, 'cosignature'));

const TEXT = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const WITNESS = signerKey('witness.example/w1', Buffer.alloc(32, 3), 'cosignature');
const byWitness = (message: Uint8Array) => signWith(WITNESS, message);

describe('a cosignature', () => {
  it('of each of four witnesses of a public log verifies, beside the log and one that is not known', () => {
    const { checkpoint, note } = openCheckpoint(Buffer.from(CHECKPOINT), { key: LOG });
    expect(checkpoint.size).toBe(1432088532);
    const time = Date.parse('2026-05-23T21:50:24Z') / 1000;
    expect(verifyCosignatures(note, [...WITNESSES, WITNESS])).toEqual(WITNESSES.map((witness) => ({ witness, time })));
  });

  it('does not fit another checkpoint, or another time', () => {
    const larger = parseNote(Buffer.from(CHECKPOINT.replace('1432088532', '1432088533')));
    const later = parseNote(Buffer.from(CHECKPOINT.replace('2net5wAAAABqEiEg', '2net5wAAAABqEiEh')));
    for (const note of [larger, later]) {
      expect(() => verifyCosignatures(note, WITNESSES.slice(2))).toThrow(
        new NotProvedError('the cosignature of remora.n621.de+da77ade7 does not fit the note'),
      );
    }
  });

  // The example of C2SP tlog-cosignature.
  it('is over the message, and has the parts, that the specification shows', () => {
    expect(cosignedMessage(1679315147, TEXT).toString('utf8')).toBe(`cosignature/v1\ntime 1679315147\n${TEXT}`);
    const { signatures } = parseNote(
      Buffer.from(
        `${TEXT}\n\u2014 witness.example.com/w1 ` +
          'jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n',
      ),
    );
    expect(signatures[0]!.keyId).toBe(0x8d66cf3f);
    expect(parseCosignature(signatures[0]!)).toMatchObject({ time: 1679315147 });
  });

  it('has the time that transparency-dev/formats reads in it', () => {
    const line = Buffer.from(
      'ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFiEBYJXORmnFBOBA==',
      'base64',
    );
    expect(parseCosignature({ name: 'a', keyId: 0, signature: line.subarray(4) }).time).toBe(1727964367);
  });

  it('is made, stands in a note, and is the newest of its witness', async () => {
    const signatures = [
      await cosign(TEXT, 1700000100, WITNESS, byWitness),
      await cosign(TEXT, 1700000000, WITNESS, byWitness),
    ];
    const note = parseNote(encodeNote({ text: TEXT, signatures }));
    expect(verifyCosignatures(note, [WITNESS])).toEqual([{ witness: WITNESS, time: 1700000100 }]);
    expect(signaturesBy(WITNESS, note)).toEqual(signatures);
  });

  it('covers the extensions of a checkpoint', async () => {
    const text = `${TEXT}one\n`;
    const signatures = [await cosign(text, 1700000000, WITNESS, byWitness)];
    expect(verifyCosignatures({ text, signatures }, [WITNESS])).toHaveLength(1);
    expect(() => verifyCosignatures({ text: `${TEXT}two\n`, signatures }, [WITNESS])).toThrow(NotProvedError);
  });

  it('is refused when its parts are not there, or its time is beyond reach', () => {
    const line = (signature: Buffer) => ({ name: WITNESS.name, keyId: WITNESS.id, signature });
    const note = (signature: Buffer) => ({ text: TEXT, signatures: [line(signature)] });
    expect(() => verifyCosignatures(note(Buffer.alloc(64)), [WITNESS])).toThrow('has 64 bytes, not 72');
    expect(() => verifyCosignatures(note(Buffer.alloc(72, 0xff)), [WITNESS])).toThrow('has a time above 2^53 - 1');
    expect(() => parseCosignature(line(Buffer.alloc(73)))).toThrow(MalformedError);
    expect(() => cosignedMessage(-1, TEXT)).toThrow(RangeError);
    expect(() => cosignedMessage(0.5, TEXT)).toThrow('in whole seconds');
  });

  it('is not made by a key that is not a witness, nor given when the signature is not of the key', async () => {
    const log = signerKey('log.example', Buffer.alloc(32, 3));
    await expect(cosign(TEXT, 1, log, byWitness)).rejects.toThrow('is not the key of a witness');
    await expect(cosign(TEXT, 1, WITNESS, async () => Buffer.alloc(64))).rejects.toThrow(NotProvedError);
    const asLog = await signNote(TEXT, log, (message) => signWith(log, message));
    expect(verifyCosignatures({ text: TEXT, signatures: [asLog] }, [log])).toEqual([]);
  });
});
