import { execFile, execFileSync } from 'node:child_process';
import { serveBucket } from './trail-bucket';

/** Whether the AWS CLI is there. */
export function cliVersion(): string | undefined {
  try {
    return execFileSync('aws', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

export interface Validated {
  code: number;
  output: string;
}

export interface TrailToValidate {
  folder: string;
  bucket: string;
  /** Of Keytrail, for ListPublicKeys. */
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  trailArn: string;
  /** Whose files: the trail's own region, where it is not said. */
  region?: string;
  /** Of digests. */
  from: string;
  to: string;
}

/** `aws cloudtrail validate-logs`, unmodified, on a folder served as a bucket. */
export async function validateLogs(trail: TrailToValidate): Promise<Validated> {
  const bucket = await serveBucket(trail.folder, trail.bucket);
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'))),
    AWS_ACCESS_KEY_ID: trail.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: trail.credentials.secretAccessKey,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_MAX_ATTEMPTS: '1',
    AWS_PAGER: '',
    AWS_ENDPOINT_URL_S3: bucket.endpoint,
  };
  const args = ['cloudtrail', 'validate-logs', '--verbose', '--endpoint-url', trail.endpoint];
  args.push('--region', trail.region ?? 'us-east-1', '--trail-arn', trail.trailArn, '--s3-bucket', trail.bucket);
  args.push('--start-time', trail.from, '--end-time', trail.to);
  try {
    return await new Promise<Validated>((resolve) => {
      execFile('aws', args, { env, encoding: 'utf8' }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
      );
    });
  } finally {
    await bucket.stop();
  }
}
