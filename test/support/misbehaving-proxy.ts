import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { boundData, integrityValue, type Sealed } from '#xks/integrity';
import { encodeDecryptReply, encodeEncryptReply, encodeHealth, encodeKeyMetadata } from '#xks/replies';
import { decodeDecryptRequest, decodeEncryptRequest } from '#xks/requests';

export interface Received {
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export type Answer = (response: ServerResponse, received: Received) => void;

export const answering =
  (status: number, body: Buffer | string | object, type = 'application/json'): Answer =>
  (response) => {
    const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    response.writeHead(status, { 'Content-Type': type }).end(bytes);
  };

const KEY = randomBytes(32);
const HEALTH = {
  xksProxyFleetSize: 1,
  xksProxyVendor: 'test',
  xksProxyModel: 'test 1',
  ekmVendor: 'test',
  ekmFleetDetails: [{ id: 'one', model: 'none', healthStatus: 'ACTIVE' as const }],
};

/** A proxy as it should be, with a key in software under every name, and without a look at signatures. */
export const wellBehaved: Answer = (response, { path, body }) => {
  const operation = path.split('/').at(-1);
  if (operation === 'health') answering(200, encodeHealth(HEALTH))(response, {} as Received);
  else if (operation === 'metadata') {
    const metadata = { keySpec: 'AES_256', keyUsage: ['ENCRYPT', 'DECRYPT'], keyStatus: 'ENABLED' };
    answering(200, encodeKeyMetadata(metadata))(response, {} as Received);
  } else if (operation === 'encrypt') answering(200, encodeEncryptReply(encrypted(body)))(response, {} as Received);
  else {
    const plaintext = decrypted(body);
    if (plaintext) answering(200, encodeDecryptReply(plaintext))(response, {} as Received);
    else answering(400, { errorName: 'InvalidCiphertextException' })(response, {} as Received);
  }
};

/** What a good proxy would answer, as an object of JSON that can be spoilt. */
export const encryptReply = (body: Buffer): Record<string, string> =>
  JSON.parse(encodeEncryptReply(encrypted(body)).toString()) as Record<string, string>;

function encrypted(body: Buffer) {
  const { plaintext, additionalAuthenticatedData } = decodeEncryptRequest(body);
  const iv = randomBytes(12);
  const ciphertextMetadata = Buffer.from('v1');
  const cipher = createCipheriv('aes-256-gcm', KEY, iv).setAAD(
    boundData(additionalAuthenticatedData, ciphertextMetadata),
  );
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const sealed: Sealed = {
    ciphertext,
    ciphertextMetadata,
    initializationVector: iv,
    authenticationTag: cipher.getAuthTag(),
  };
  return { ...sealed, ciphertextDataIntegrityValue: integrityValue(additionalAuthenticatedData, sealed) };
}

function decrypted(body: Buffer): Buffer | undefined {
  const request = decodeDecryptRequest(body);
  const decipher = createDecipheriv('aes-256-gcm', KEY, request.initializationVector)
    .setAAD(boundData(request.additionalAuthenticatedData, request.ciphertextMetadata))
    .setAuthTag(request.authenticationTag as Buffer);
  try {
    return Buffer.concat([decipher.update(request.ciphertext), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** A proxy that does what a test wants of it. */
export class MisbehavingProxy {
  answer: Answer = wellBehaved;
  readonly received: Received[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly endpoint: string,
  ) {}

  /** With TLS where it has a certificate. */
  static async start(tls?: { cert: Buffer; key: Buffer }): Promise<MisbehavingProxy> {
    let proxy: MisbehavingProxy | undefined;
    const handler: RequestListener = (request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const received = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(pieces) };
        proxy!.received.push(received);
        proxy!.answer(response, received);
      });
    };
    const server = tls ? createSecureServer(tls, handler) : createServer(handler);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    proxy = new MisbehavingProxy(server, `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${port}`);
    const { sockets } = proxy;
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    return proxy;
  }

  get connections(): number {
    return this.sockets.size;
  }

  /** As a proxy that is restarted, or a load balancer that has waited long enough. */
  dropConnections(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  stop(): Promise<void> {
    this.dropConnections();
    return new Promise((stopped) => this.server.close(() => stopped()));
  }
}
