import type { KMSClient } from '@aws-sdk/client-kms';
import { findOpenssl } from './certificates';
import { findPostgres, TestPostgres } from './postgres';
import { Topology } from './topology';

const binaries = findPostgres();
// Of a file whose tests are all skipped, jest shows nothing that goes to the console.
if (binaries === undefined) process.stderr.write('SKIPPED: a cluster with PostgreSQL, since there is no postgres\n');

/** A test of a cluster whose event history is in PostgreSQL; skipped, loudly, where that or openssl is missing. */
export const withPostgres = binaries === undefined || findOpenssl() === undefined ? test.skip : test;

/** docker-compose.yml without Docker, and a PostgreSQL server beside it. */
export class TopologyWithPostgres {
  private constructor(
    readonly topology: Topology,
    readonly kms: KMSClient,
    private readonly postgres: TestPostgres,
  ) {}

  static async start(): Promise<TopologyWithPostgres> {
    const postgres = await TestPostgres.start(binaries!);
    try {
      const topology = await Topology.start({ KEYTRAIL_DATABASE_URL: postgres.url });
      return new TopologyWithPostgres(topology, topology.kms(), postgres);
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.kms.destroy();
    await this.topology.stop();
    await this.postgres.stop();
  }
}
