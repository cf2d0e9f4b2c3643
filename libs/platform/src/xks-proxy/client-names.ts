import type { Server } from 'node:http';
import type { TLSSocket } from 'node:tls';

/** Ends connections of clients whose certificate has another common name, though an authority vouches for it. */
export function letInOnly(commonName: string, server: Server): void {
  // Before whoever serves it.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    if (socket.getPeerCertificate().subject?.CN !== commonName) socket.destroy();
  });
}
