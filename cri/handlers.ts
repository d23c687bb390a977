/** Every RPC of both services with its handler; a missing one does not compile. */
import type { ContainerEvents } from './events.ts';
import type { CriHandlers } from './method.ts';
import { attach } from './rpc/attach.ts';
import { checkpointContainer } from './rpc/checkpoint-container.ts';
import { checkpointPod } from './rpc/checkpoint-pod.ts';
import { containerStats } from './rpc/container-stats.ts';
import { containerStatus } from './rpc/container-status.ts';
import { createContainer } from './rpc/create-container.ts';
import { exec } from './rpc/exec.ts';
import { execSync } from './rpc/exec-sync.ts';
import { getContainerEvents } from './rpc/get-container-events.ts';
import { imageFsInfo } from './rpc/image-fs-info.ts';
import { imageStatus } from './rpc/image-status.ts';
import { listContainerStats } from './rpc/list-container-stats.ts';
import { listContainers } from './rpc/list-containers.ts';
import { listImages } from './rpc/list-images.ts';
import { listMetricDescriptors } from './rpc/list-metric-descriptors.ts';
import { listPodSandbox } from './rpc/list-pod-sandbox.ts';
import { listPodSandboxMetrics } from './rpc/list-pod-sandbox-metrics.ts';
import { listPodSandboxStats } from './rpc/list-pod-sandbox-stats.ts';
import { podSandboxStats } from './rpc/pod-sandbox-stats.ts';
import { podSandboxStatus } from './rpc/pod-sandbox-status.ts';
import { portForward } from './rpc/port-forward.ts';
import { pullImage } from './rpc/pull-image.ts';
import { removeContainer } from './rpc/remove-container.ts';
import { removeImage } from './rpc/remove-image.ts';
import { removePodSandbox } from './rpc/remove-pod-sandbox.ts';
import { reopenContainerLog } from './rpc/reopen-container-log.ts';
import { restorePod } from './rpc/restore-pod.ts';
import { runPodSandbox } from './rpc/run-pod-sandbox.ts';
import { runtimeConfig } from './rpc/runtime-config.ts';
import { startContainer } from './rpc/start-container.ts';
import { status } from './rpc/status.ts';
import { stopContainer } from './rpc/stop-container.ts';
import { stopPodSandbox } from './rpc/stop-pod-sandbox.ts';
import { streamContainerStats } from './rpc/stream-container-stats.ts';
import { streamContainers } from './rpc/stream-containers.ts';
import { streamImages } from './rpc/stream-images.ts';
import { streamPodSandboxMetrics } from './rpc/stream-pod-sandbox-metrics.ts';
import { streamPodSandboxStats } from './rpc/stream-pod-sandbox-stats.ts';
import { streamPodSandboxes } from './rpc/stream-pod-sandboxes.ts';
import { updateContainerResources } from './rpc/update-container-resources.ts';
import { updatePodSandboxResources } from './rpc/update-pod-sandbox-resources.ts';
import { updateRuntimeConfig } from './rpc/update-runtime-config.ts';
import { version } from './rpc/version.ts';
import type { CriServices } from './services.ts';

export function criHandlers(services: CriServices, events: ContainerEvents): CriHandlers {
  return {
    Version: version(services),
    RunPodSandbox: runPodSandbox(services),
    StopPodSandbox: stopPodSandbox(services),
    RemovePodSandbox: removePodSandbox(services),
    PodSandboxStatus: podSandboxStatus(services),
    ListPodSandbox: listPodSandbox(services),
    StreamPodSandboxes: streamPodSandboxes(services),
    CreateContainer: createContainer(services),
    StartContainer: startContainer(services),
    StopContainer: stopContainer(services),
    RemoveContainer: removeContainer(services),
    ListContainers: listContainers(services),
    StreamContainers: streamContainers(services),
    ContainerStatus: containerStatus(services),
    UpdateContainerResources: updateContainerResources(services),
    ReopenContainerLog: reopenContainerLog(services),
    ExecSync: execSync(services),
    Exec: exec(services),
    Attach: attach(services),
    PortForward: portForward(services),
    ContainerStats: containerStats(services),
    ListContainerStats: listContainerStats(services),
    StreamContainerStats: streamContainerStats(services),
    PodSandboxStats: podSandboxStats(services),
    ListPodSandboxStats: listPodSandboxStats(services),
    StreamPodSandboxStats: streamPodSandboxStats(services),
    UpdateRuntimeConfig: updateRuntimeConfig(services),
    Status: status(services),
    CheckpointContainer: checkpointContainer(services),
    CheckpointPod: checkpointPod(services),
    RestorePod: restorePod(services),
    GetContainerEvents: getContainerEvents(events),
    ListMetricDescriptors: listMetricDescriptors(services),
    ListPodSandboxMetrics: listPodSandboxMetrics(services),
    StreamPodSandboxMetrics: streamPodSandboxMetrics(services),
    RuntimeConfig: runtimeConfig(services),
    UpdatePodSandboxResources: updatePodSandboxResources(services),
    ListImages: listImages(services),
    StreamImages: streamImages(services),
    ImageStatus: imageStatus(services),
    PullImage: pullImage(services),
    RemoveImage: removeImage(services),
    ImageFsInfo: imageFsInfo(services),
  };
}
