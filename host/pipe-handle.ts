/**
 * libuv's pipe handle over a descriptor of ours. libuv polls it and reads it with read(2), whatever kind of descriptor it
 * is, and Node gives no other way to have one polled: sockets that keep packets apart and descriptors of processes go here.
 */
import { RuntimeError } from '#base/errors.ts';

export interface PipeHandle {
  open(fd: number): number | undefined;
  readStart(): number;
  /** Called with each read, and with each error of one. */
  onread: () => void;
  unref(): void;
  /** Closes the descriptor too. */
  close(): void;
}

interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle;
  readonly constants: { readonly SOCKET: number };
}

/** Takes the descriptor over. Throws Unimplemented if this Node has no pipe handles to give. */
export function openPipeHandle(fd: number): PipeHandle {
  const binding = (process as unknown as { binding?: (name: string) => PipeBinding }).binding?.('pipe_wrap');
  if (!binding)
    throw new RuntimeError(
      'Unimplemented',
      `polling descriptor ${fd}: this Node has no pipe handles to give`,
    );
  const handle = new binding.Pipe(binding.constants.SOCKET);
  handle.open(fd);
  return handle;
}
