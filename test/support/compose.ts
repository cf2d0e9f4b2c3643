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
}

export interface Compose {
  version: string;
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

// jest's own YAML parser: Keytrail itself needs none.
const yaml: { load(text: string): unknown } = require('js-yaml');

/** docker-compose.yml as it stands, variables and all. */
export const readCompose = (): Compose => yaml.load(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')) as Compose;

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
