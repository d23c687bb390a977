import { RuntimeError } from '#base/errors.ts';

/**
 * An upload whose first message says what is meant, with the bytes of all its messages. Throws InvalidArgument for one without
 * a message; `attempted` is for its text.
 */
export async function openUpload<M extends { readonly data: Buffer }>(
  requests: AsyncIterable<M>,
  attempted: string,
): Promise<{ readonly first: M; readonly bytes: AsyncIterable<Buffer> }> {
  const messages = requests[Symbol.asyncIterator]();
  const first = await messages.next();
  if (first.done === true)
    throw new RuntimeError('InvalidArgument', `${attempted}: the request has no message`);
  return { first: first.value, bytes: bytesOf(first.value.data, messages) };
}

async function* bytesOf(
  first: Buffer,
  rest: AsyncIterator<{ readonly data: Buffer }>,
): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  for (;;) {
    const next = await rest.next();
    if (next.done === true) return;
    if (next.value.data.length > 0) yield next.value.data;
  }
}
