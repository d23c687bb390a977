import { encodeRepeatedField } from '#proto/codec.ts';

/** Far below what a message may have, and enough that a thousand containers need a handful of messages. */
const maxBatchBytes = 256 * 1024;

/**
 * Sends `items` once each, many to a message, as field 1 of a streaming list reply (all of them have the list there).
 * An empty list sends nothing. Items are encoded as the client takes them.
 */
export async function sendInBatches<T>(
  items: readonly T[],
  encodeItem: (item: T) => Buffer,
  send: (message: Buffer) => Promise<void>,
): Promise<void> {
  let batch: Buffer[] = [];
  let sizeBytes = 0;
  for (const item of items) {
    const bytes = encodeItem(item);
    if (batch.length > 0 && sizeBytes + bytes.length > maxBatchBytes) {
      await send(encodeRepeatedField(1, batch));
      batch = [];
      sizeBytes = 0;
    }
    batch.push(bytes);
    sizeBytes += bytes.length;
  }
  if (batch.length > 0) await send(encodeRepeatedField(1, batch));
}
