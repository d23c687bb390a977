import { RuntimeError } from '#base/errors.ts';
import type { RpcName } from './method.ts';

/** The error of an RPC whose part of the daemon is not there. */
export function unimplemented(rpc: RpcName): RuntimeError {
  return new RuntimeError('Unimplemented', `${rpc} is not offered by this build of berth`);
}
