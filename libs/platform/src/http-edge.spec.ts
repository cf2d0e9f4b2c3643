import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { pino } from 'pino';
import type { CallerClaim } from '#operations/caller';
import { signRequest } from '#sigv4/sign';
import { deriveSigningKey } from '#sigv4/signing-key';
import { findOpenssl, TestAuthority } from '../../../test/support/certificates';
import type { Dispatcher } from './dispatcher';
import { Health } from './health';
import { type HttpEdgePorts, serveHttpEdge } from './http-edge';
import { HTTP_LIMITS, httpServer } from './http-server';
import { Metrics } from './metrics';
import type { EdgeRecords } from './recording/edge-records';
import { ServedCertificate } from './served-certificate';
import type { SigningIdentity, SigningScope } from './signing-keys';

const suite = findOpenssl() === undefined ? describe.skip : describe;

const CREDENTIALS = { accessKeyId: 'AKIANOBODY', secretAccessKey: 'a secret of the test' };

const nobody = (): undefined => undefined;

/** A signed request, as it goes over the wire. */
function wire(): string {
  const body = '{}';
  const headers = signRequest({
    ...{ ...CREDENTIALS, region: 'us-east-1', service: 'kms' },
    ...{ timeMs: Date.now(), method: 'POST', path: '/', body: Buffer.from(body) },
    headers: {
      host: 'localhost',
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'TrentService.ListKeys',
    },
  });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST / HTTP/1.1\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n${body}`;
}

/** Where a request over TLS comes from, as the client of the tests has it. */
const CONNECTION = {
  sourceIp: '127.0.0.1',
  tls: { tlsVersion: 'TLSv1.3', cipherSuite: expect.stringMatching(/^TLS_/), clientProvidedHostHeader: 'localhost' },
};

suite('a request over TLS whose client goes away', () => {
  let work: string;
  let authority: TestAuthority;

  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), 'keytrail-http-edge-'));
    authority = new TestAuthority(work);
  });

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  async function start(changes: Partial<HttpEdgePorts>) {
    const certificate = new ServedCertificate(
      { ...authority.issue('server'), clientCa: undefined },
      pino({ level: 'silent' }),
    );
    const { adapter, admission } = httpServer(certificate, HTTP_LIMITS);
    const http = adapter.getInstance();
    const observed: unknown[] = [];
    const ports = {
      dispatcher: { dispatch: () => ({ body: '{}', status: 200 }) },
      metrics: new Metrics(),
      health: new Health(),
      observe: (error: unknown) => observed.push(error),
      ...changes,
    } as HttpEdgePorts;
    serveHttpEdge(http as unknown as Parameters<typeof serveHttpEdge>[0], ports, admission);
    await http.listen({ port: 0, host: '127.0.0.1' });
    const { port } = http.server.address() as AddressInfo;
    const client = connect({ host: '127.0.0.1', port, ca: readFileSync(authority.ca) }, () => client.write(wire()));
    client.on('error', () => {});
    return { http, admission, client, observed };
  }

  /** While it is found out who that is. What was observed. */
  async function abandoned(
    found: (scope: SigningScope) => SigningIdentity | undefined,
    changes: Partial<HttpEdgePorts>,
  ): Promise<unknown[]> {
    let tell = (): void => {};
    const identify = (scope: SigningScope) =>
      new Promise<SigningIdentity | undefined>((resolve) => {
        tell = () => resolve(found(scope));
      });
    const { http, admission, client, observed } = await start({ signingKeys: { identify }, ...changes });
    while (admission.inFlight === 0) await new Promise(setImmediate);
    client.destroy();
    while (admission.open > 0) await new Promise(setImmediate);
    tell();
    while (admission.inFlight > 0) await new Promise(setImmediate);
    await http.close();
    return observed;
  }

  it('before it is known who that is, is refused and recorded with what its connection was', async () => {
    const told: Partial<CallerClaim>[] = [];
    const refused: EdgeRecords['refused'] = async (reply, _call, claim) => {
      told.push(claim);
      return reply;
    };
    expect(await abandoned(nobody, { records: { refused } as EdgeRecords })).toEqual([]);
    expect(told).toEqual([expect.objectContaining(CONNECTION)]);
  });

  it('before it is known who that is, is done as one from where it came', async () => {
    const claims: CallerClaim[] = [];
    const dispatch: Dispatcher['dispatch'] = (_operation, _body, claim) => {
      claims.push(claim);
      return { body: '{}', status: 200 };
    };
    const root = ({ date, region, service }: SigningScope): SigningIdentity => ({
      account: '000000000000',
      principalId: 'root',
      signingKey: deriveSigningKey(CREDENTIALS.secretAccessKey, date, region, service),
    });
    expect(await abandoned(root, { dispatcher: { dispatch } })).toEqual([]);
    expect(claims).toEqual([expect.objectContaining({ ...CONNECTION, secureTransport: true })]);
  });

  it('gives its place free, whatever goes wrong over the refusal', async () => {
    const wrong = new Error('no record of it can be made');
    const refused = (): never => {
      throw wrong;
    };
    expect(await abandoned(nobody, { records: { refused } as unknown as EdgeRecords })).toEqual([wrong]);
  });

  it('before its body is handed over is not begun', async () => {
    const identify = jest.fn();
    const { http, admission, observed } = await start({ signingKeys: { identify } });
    const over = new Promise((closed) =>
      http.server.prependListener('request', (request: IncomingMessage) => {
        request.once('end', () => request.socket.destroy());
        request.socket.once('close', closed);
      }),
    );
    await over;
    expect(identify).not.toHaveBeenCalled();
    expect(admission.inFlight).toBe(0);
    expect(observed).toEqual([]);
    await http.close();
  });
});
