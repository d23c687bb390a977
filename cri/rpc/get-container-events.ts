import type { ContainerEvents } from '../events.ts';
import type { StreamHandler } from '../method.ts';

/** Every event from now on, and those of the last minutes that nobody was told, until the client leaves. */
export function getContainerEvents(events: ContainerEvents): StreamHandler<'GetContainerEvents'> {
  return async (_request, send, signal) => {
    const subscription = events.subscribe(signal);
    for await (const message of subscription) await send(message);
  };
}
