/** The body of an answer, of at most so many bytes. Rejects where there are more. */
export async function boundedBody(response: Response, max: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > max) throw new Error(`the answer has more than ${max} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The beginning of it, for a message. */
export const said = (body: Uint8Array): string =>
  Buffer.from(body)
    .toString('utf8')
    .replace(/[^ -~]+/g, ' ')
    .trim()
    .slice(0, 200);
