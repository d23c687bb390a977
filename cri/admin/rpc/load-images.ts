import { RuntimeError } from '#base/errors.ts';
import { checkText } from '../../convert/field.ts';
import type { AdminRequest, AdminUpload } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Images of an archive. Throws InvalidArgument (archive refused), ResourceExhausted. */
export function loadImages({ images }: Pick<AdminServices, 'images'>): AdminUpload<'LoadImages'> {
  return async (requests, signal) => {
    const messages = requests[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done === true)
      throw new RuntimeError('InvalidArgument', 'loading images: the request has no message');
    const tag = checkText(first.value.tag, 'tag', 4096);
    const loaded = await images.load(dataOf(first.value.data, messages), tag, signal);
    return { images: loaded.map(({ id, names }) => ({ id, names })) };
  };
}

async function* dataOf(
  first: Buffer,
  rest: AsyncIterator<AdminRequest<'LoadImages'>>,
): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  for (;;) {
    const next = await rest.next();
    if (next.done === true) return;
    if (next.value.data.length > 0) yield next.value.data;
  }
}
