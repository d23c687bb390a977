import { invalidField, requireText } from '../../convert/field.ts';
import type { AdminStream } from '../method.ts';
import type { AdminServices } from '../services.ts';

const mostImages = 1000;

/** Images as an archive. Throws NotFound, InvalidArgument. */
export function saveImages({ images }: Pick<AdminServices, 'images'>): AdminStream<'SaveImages'> {
  return async (request, send, signal) => {
    const format = request.format === '' ? 'oci' : request.format;
    if (format !== 'oci' && format !== 'docker') throw invalidField('format', 'is neither oci nor docker');
    if (request.images.length === 0) throw invalidField('images', 'is empty');
    if (request.images.length > mostImages)
      throw invalidField('images', `has more than ${mostImages} entries`);
    const references = request.images.map((text) => requireText(text, 'images', 4096));
    await images.save(
      references,
      format,
      (layersRemade) => send({ data: Buffer.alloc(0), layers_remade: layersRemade }),
      (data) => (data.length === 0 ? Promise.resolve() : send({ data, layers_remade: 0 })),
      signal,
    );
  };
}
