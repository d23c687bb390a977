/** Every RPC of the admin service with its handler; a missing one does not compile. */
import type { AdminHandlers } from './method.ts';
import { choosePorts } from './rpc/choose-ports.ts';
import { commitContainer } from './rpc/commit-container.ts';
import { copyFromContainer } from './rpc/copy-from-container.ts';
import { copyToContainer } from './rpc/copy-to-container.ts';
import { describeImage } from './rpc/describe-image.ts';
import { diffContainer } from './rpc/diff-container.ts';
import { diskUsage } from './rpc/disk-usage.ts';
import { dropImage } from './rpc/drop-image.ts';
import { exec, execDetached } from './rpc/exec.ts';
import { info } from './rpc/info.ts';
import { killContainer } from './rpc/kill-container.ts';
import { listProcesses } from './rpc/list-processes.ts';
import { loadImages } from './rpc/load-images.ts';
import {
  listContainerDetails,
  pauseContainer,
  renameContainer,
  unpauseContainer,
} from './rpc/pause-container.ts';
import { pruneImages } from './rpc/prune-images.ts';
import { pullImage } from './rpc/pull-image.ts';
import { pushImage } from './rpc/push-image.ts';
import { reviveContainer } from './rpc/revive-container.ts';
import { saveImages } from './rpc/save-images.ts';
import { statPath } from './rpc/stat-path.ts';
import { tagImage } from './rpc/tag-image.ts';
import { verifyLogin } from './rpc/verify-login.ts';
import { createVolume, listVolumes, removeVolume } from './rpc/volumes.ts';
import { waitContainer } from './rpc/wait-container.ts';
import type { AdminServices } from './services.ts';

export function adminHandlers(services: AdminServices): AdminHandlers {
  return {
    Info: info(services),
    WaitContainer: waitContainer(services),
    KillContainer: killContainer(services),
    ReviveContainer: reviveContainer(services),
    PauseContainer: pauseContainer(services),
    UnpauseContainer: unpauseContainer(services),
    RenameContainer: renameContainer(services),
    ListContainerDetails: listContainerDetails(services),
    Exec: exec(services),
    ExecDetached: execDetached(services),
    ListProcesses: listProcesses(services),
    StatPath: statPath(services),
    CopyFromContainer: copyFromContainer(services),
    CopyToContainer: copyToContainer(services),
    PullImage: pullImage(services),
    PushImage: pushImage(services),
    VerifyLogin: verifyLogin(services),
    TagImage: tagImage(services),
    DropImage: dropImage(services),
    DescribeImage: describeImage(services),
    LoadImages: loadImages(services),
    SaveImages: saveImages(services),
    CommitContainer: commitContainer(services),
    DiffContainer: diffContainer(services),
    DiskUsage: diskUsage(services),
    PruneImages: pruneImages(services),
    ListVolumes: listVolumes(services),
    CreateVolume: createVolume(services),
    RemoveVolume: removeVolume(services),
    ChoosePorts: choosePorts(services),
  };
}
