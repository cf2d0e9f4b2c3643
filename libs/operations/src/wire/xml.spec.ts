import { XMLParser } from 'fast-xml-parser';
import { xmlError, xmlReply } from './xml';

const NAMESPACE = 'https://iam.amazonaws.com/doc/2010-05-08/';

describe('a query reply', () => {
  test('has a result, lists as members, and dates to the second', () => {
    const user = { UserName: 'u', CreateDate: 1_796_093_280.155, Tags: [{ Key: 'a', Value: '' }] };
    expect(xmlReply('ListUsers', NAMESPACE, { Users: [user], IsTruncated: false }, 'id')).toBe(
      `<ListUsersResponse xmlns="${NAMESPACE}"><ListUsersResult><Users><member><UserName>u</UserName>` +
        '<CreateDate>2026-12-01T02:48:00Z</CreateDate><Tags><member><Key>a</Key><Value/></member></Tags></member></Users>' +
        '<IsTruncated>false</IsTruncated></ListUsersResult>' +
        '<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ListUsersResponse>',
    );
  });

  test('that says nothing has no result', () => {
    expect(xmlReply('DeleteUser', NAMESPACE, {}, 'id')).toBe(
      `<DeleteUserResponse xmlns="${NAMESPACE}"><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DeleteUserResponse>`,
    );
  });

  test('that is empty has empty lists', () => {
    expect(xmlReply('ListUsers', NAMESPACE, { Users: [] }, 'id')).toContain(
      '<ListUsersResult><Users/></ListUsersResult>',
    );
  });

  test('escapes texts, so that they are read as they were', () => {
    const text = `a<b>&"c" 'd' &amp; ]]> \u00e9`;
    const xml = xmlReply('GetUser', NAMESPACE, { Text: text }, 'id');
    const parsed = new XMLParser({ trimValues: false }).parse(xml) as { GetUserResponse: { GetUserResult: object } };
    expect(parsed.GetUserResponse.GetUserResult).toEqual({ Text: text });
    expect(xmlReply('GetUser', NAMESPACE, { Text: 'a\r\nb' }, 'id')).toContain('<Text>a&#xD;\nb</Text>');
  });
});

test.each([
  [404, 'Sender'],
  [500, 'Receiver'],
])('an error of status %i is the fault of the %s', (status, type) => {
  expect(xmlError(NAMESPACE, { code: 'NoSuchEntity', message: 'a < b', status }, 'id')).toBe(
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>${type}</Type><Code>NoSuchEntity</Code>` +
      '<Message>a &lt; b</Message></Error><RequestId>id</RequestId></ErrorResponse>',
  );
});
