/** Records of containers to the CRI's Container and ContainerStatus. */
import { encode } from '#proto/codec.ts';
import {
  type ContainerMetadataInit,
  ContainerState,
  type ContainerStatusInit,
  type MountInit,
} from '#proto/generated/cri.ts';
import type { RequestedMount } from '#runtime/container/config.ts';
import type { ContainerRecord, ContainerState as RecordState } from '#runtime/container/record.ts';
import { fromImageSpec, fromMount } from './mount.ts';
import { fromResources } from './resources.ts';
import { signalNumber } from './signal.ts';

const states = {
  creating: ContainerState.CONTAINER_CREATED,
  created: ContainerState.CONTAINER_CREATED,
  running: ContainerState.CONTAINER_RUNNING,
  exited: ContainerState.CONTAINER_EXITED,
  unknown: ContainerState.CONTAINER_UNKNOWN,
} as const satisfies Record<RecordState, number>;

export function containerState(record: ContainerRecord): number {
  return states[record.state];
}

export function fromContainerMetadata({ config }: Pick<ContainerRecord, 'config'>): ContainerMetadataInit {
  return { name: config.metadata.name, attempt: config.metadata.attempt };
}

/** `image.image` is what people know the image by; the rest of the request's image spec is echoed. */
function imageOf(record: ContainerRecord): ContainerStatusInit['image'] {
  return { ...fromImageSpec(record.config.image), image: record.imageName };
}

const listed = new WeakMap<ContainerRecord, Buffer>();

/** The encoded Container; kept as long as the record, whose every change is a new object. */
export function encodedContainer(record: ContainerRecord): Buffer {
  let bytes = listed.get(record);
  if (bytes === undefined) {
    bytes = encode('Container', {
      id: record.id,
      pod_sandbox_id: record.sandboxId,
      metadata: fromContainerMetadata(record),
      image: imageOf(record),
      image_ref: record.imageRef,
      state: containerState(record),
      created_at: record.createdAtNs,
      labels: record.config.labels,
      annotations: record.config.annotations,
      image_id: record.imageId,
    });
    listed.set(record, bytes);
  }
  return bytes;
}

const statuses = new WeakMap<ContainerRecord, Buffer>();

/** The encoded ContainerStatus; kept like the above. */
export function encodedContainerStatus(record: ContainerRecord): Buffer {
  let bytes = statuses.get(record);
  if (bytes === undefined) {
    bytes = encode('ContainerStatus', toContainerStatus(record));
    statuses.set(record, bytes);
  }
  return bytes;
}

/** As requested; of an image volume also the digest of what was mounted. */
function mountOf(record: ContainerRecord, mount: RequestedMount): MountInit {
  const init = fromMount(mount);
  const image_ref = record.imageVolumeRefs?.[mount.image?.image ?? ''];
  return init.image && image_ref !== undefined ? { ...init, image: { ...init.image, image_ref } } : init;
}

/** `mounts` echoes the request one for one: the kubelet finds the termination log by it. */
export function toContainerStatus(record: ContainerRecord): ContainerStatusInit {
  const { config, user } = record;
  return {
    id: record.id,
    metadata: fromContainerMetadata(record),
    state: containerState(record),
    created_at: record.createdAtNs,
    started_at: record.startedAtNs,
    finished_at: record.finishedAtNs,
    exit_code: record.exitCode,
    image: imageOf(record),
    image_ref: record.imageRef,
    reason: record.reason,
    message: record.message,
    labels: config.labels,
    annotations: config.annotations,
    mounts: config.mounts.map((mount) => mountOf(record, mount)),
    log_path: record.logPath,
    resources: record.resources && { linux: fromResources(record.resources) },
    image_id: record.imageId,
    user: {
      linux: {
        uid: BigInt(user.uid),
        gid: BigInt(user.gid),
        supplemental_groups: user.additionalGids.map(BigInt),
      },
    },
    stop_signal: signalNumber(record.stopSignal),
  };
}
