/** Every RPC of the admin service with its handler; a missing one does not compile. */
import type { AdminHandlers } from './method.ts';
import { copyFromContainer } from './rpc/copy-from-container.ts';
import { copyToContainer } from './rpc/copy-to-container.ts';
import { exec } from './rpc/exec.ts';
import { info } from './rpc/info.ts';
import { killContainer } from './rpc/kill-container.ts';
import { listProcesses } from './rpc/list-processes.ts';
import { reviveContainer } from './rpc/revive-container.ts';
import { statPath } from './rpc/stat-path.ts';
import { waitContainer } from './rpc/wait-container.ts';
import type { AdminServices } from './services.ts';

export function adminHandlers(services: AdminServices): AdminHandlers {
  return {
    Info: info(services),
    WaitContainer: waitContainer(services),
    KillContainer: killContainer(services),
    ReviveContainer: reviveContainer(services),
    Exec: exec(services),
    ListProcesses: listProcesses(services),
    StatPath: statPath(services),
    CopyFromContainer: copyFromContainer(services),
    CopyToContainer: copyToContainer(services),
  };
}
