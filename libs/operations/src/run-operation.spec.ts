import { MemoryOperations } from '../../../test/support/memory-operations';

describe('a refusal', () => {
  test.each([
    ['DescribeKey', {}, 'ValidationException'],
    ['DescribeKey', { KeyId: 1 }, 'SerializationException'],
    ['Encrypt', { KeyId: 'k', Plaintext: '!' }, 'SerializationException'],
  ])('of the form of a request does not trouble the log: %s %j', async (operation, input, code) => {
    const operations = new MemoryOperations();
    expect(await operations.call(operation, input)).toMatchObject({ code });
    expect(operations.askedWhetherBehind).toBe(0);
  });

  test.each([
    ['DescribeKey', { KeyId: 'k' }],
    ['Encrypt', { KeyId: 'k', Plaintext: 'AAAA' }],
  ])('that the view is the reason of counts once the log has been asked: %s', async (operation, input) => {
    const operations = new MemoryOperations();
    expect(await operations.call(operation, input)).toMatchObject({ code: 'NotFoundException' });
    expect(operations.askedWhetherBehind).toBe(1);
  });
});
