import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(__dirname, '../..');

/** A service of docker-compose.yml, as far as Keytrail's file goes. */
export interface ComposeService {
  image: string;
  command: string[];
  env_file: string;
  environment: Record<string, string>;
  depends_on?: string[];
  healthcheck: { test: string[] };
  restart: string;
  ports?: string[];
  volumes?: string[];
  profiles?: string[];
}

export interface Compose {
  version: string;
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

// jest's own YAML parser: Keytrail itself needs none.
const yaml: { load(text: string): unknown } = require('js-yaml');

const isMonitoring = ({ profiles }: ComposeService): boolean => profiles?.includes('monitoring') ?? false;

/** docker-compose.yml as it stands, variables and all, without what only watches Keytrail. */
export const readCompose = (): Compose => withServices((service) => !isMonitoring(service));

/** Prometheus and Grafana, whose images are others': nothing here runs them. */
export const monitoringServices = (): Compose['services'] => withServices(isMonitoring).services;

/** A file of YAML in the repository. */
export const readYaml = <T>(path: string): T => yaml.load(readFileSync(join(ROOT, path), 'utf8')) as T;

function withServices(wanted: (service: ComposeService) => boolean): Compose {
  const compose = readYaml<Compose>('docker-compose.yml');
  const services = Object.entries(compose.services).filter(([, service]) => wanted(service));
  return { ...compose, services: Object.fromEntries(services) };
}

export const isNode = (name: string): boolean => name.startsWith('nats-');
/** The program of a service: instances are numbered. */
export const appOf = (name: string): string => name.replace(/-\d$/, '');

/** Puts variables in the place of `${NAME:-default}`, as compose does. Other forms are not in use. */
export function interpolate(text: string, variables: Record<string, string>): string {
  const put = text.replace(
    /\$\{(\w+):-([^}]*)\}/g,
    (_, name: string, otherwise: string) => variables[name] ?? otherwise,
  );
  if (put.includes('$')) throw new Error(`cannot interpolate ${JSON.stringify(text)}`);
  return put;
}
