import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import fc from 'fast-check';
import { XMLValidator } from 'fast-xml-parser';
import { OPERATION_TABLE } from '#operations/table';
import { presignQuery, signRequest } from '#sigv4/sign';
import { type Credentials, clientsOf, refusal } from './support/identities';
import { Identities } from './support/identity-server';

const ACCOUNT = '000000000000';

let identities: Identities;

beforeAll(async () => {
  identities = await Identities.start();
});

afterAll(() => identities?.stop());

describe('the query protocol', () => {
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const reply = await fetch(identities.server.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
    });
    return { status: reply.status, type: reply.headers.get('content-type'), text: await reply.text() };
  };

  test('answers who does not sign in XML', async () => {
    const { status, type, text } = await post('Action=ListUsers&Version=2010-05-08');
    expect([status, type]).toEqual([403, 'text/xml']);
    expect(text).toContain('<Code>MissingAuthenticationToken</Code>');
  });

  test('takes a presigned GET, which proves to others who its signer is', async () => {
    const credentials = (await identities.server.kms.config.credentials()) as Credentials;
    const headers = { host: new URL(identities.server.endpoint).host };
    const query = 'Action=GetCallerIdentity&Version=2011-06-15';
    const scope = { region: 'eu-west-1', service: 'sts', timeMs: Date.now() };
    const presigned = presignQuery({ ...credentials, ...scope, method: 'GET', path: '/', query, headers }, 60);
    const reply = await fetch(`${identities.server.endpoint}/?${presigned}`);
    expect(reply.headers.get('content-type')).toBe('text/xml');
    expect(await reply.text()).toContain(`<Arn>arn:aws:iam::${ACCOUNT}:root</Arn>`);
  });

  test('refuses 150 fuzzed forms in XML, as the fault of the caller', async () => {
    const credentials = (await identities.server.kms.config.credentials()) as Credentials;
    const operations = [...OPERATION_TABLE.values()].filter(({ service }) => service === 'iam' || service === 'sts');
    const name = fc.constantFrom(
      ...[
        'UserName',
        'RoleName',
        'Path',
        'Tags.member.1.Key',
        'Tags.member.x',
        'TagKeys',
        'TagKeys.member.1',
        'Marker',
      ],
      ...['MaxItems', 'PolicyDocument', 'AssumeRolePolicyDocument', 'AccessKeyId', 'DurationSeconds', 'RoleArn'],
    );
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('-1', '99999999999', '{}', '.', '*', 'x'));
    const form = fc.array(fc.tuple(name, value), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...operations), form, async (operation, members) => {
        const version = operation.service === 'iam' ? '2010-05-08' : '2011-06-15';
        const body = new URLSearchParams([['Action', operation.name], ['Version', version], ...members]).toString();
        const headers = signRequest({
          ...{ ...credentials, region: 'us-east-1', service: operation.service, timeMs: Date.now() },
          ...{ method: 'POST', path: '/', body: Buffer.from(body) },
          headers: {
            host: new URL(identities.server.endpoint).host,
            'content-type': 'application/x-www-form-urlencoded',
          },
        });
        const { status, type, text } = await post(body, headers);
        expect(status).toBeLessThan(500);
        expect(type).toBe('text/xml');
        expect(XMLValidator.validate(text)).toBe(true);
      }),
      { numRuns: 150, seed: 20261124 },
    );
  });

  test('knows no operation of another service, nor of another version', async () => {
    const strange = clientsOf(
      identities.server.endpoint,
      (await identities.server.kms.config.credentials()) as Credentials,
    );
    strange.sts.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { body: string };
        request.body = request.body.replace('Action=GetCallerIdentity', 'Action=ListKeys');
        return next(args);
      },
      { step: 'build', priority: 'high' },
    );
    expect(await refusal(strange.sts.send(new GetCallerIdentityCommand({})))).toEqual([
      'InvalidAction',
      'Could not find operation ListKeys for version 2011-06-15',
      400,
    ]);
  });
});
