/** CRI Mount and Device to what the runtime takes, and mounts back for ContainerStatus. */
import {
  type Device,
  type ImageSpecInit,
  type ImageSpec as ImageSpecMessage,
  type Mount,
  type MountInit,
  MountPropagation as Propagation,
} from '#proto/generated/cri.ts';
import type {
  ImageSpec,
  MountPropagation,
  RequestedDevice,
  RequestedMount,
} from '#runtime/container/config.ts';
import {
  checkMap,
  checkRelativePath,
  checkText,
  invalidField,
  maxMapBytes,
  requireAbsolutePath,
  toWord,
} from './field.ts';
import { fromIdMappings, toIdMappings } from './namespace-options.ts';

const propagations: Readonly<Record<number, MountPropagation>> = {
  [Propagation.PROPAGATION_PRIVATE]: 'private',
  [Propagation.PROPAGATION_HOST_TO_CONTAINER]: 'hostToContainer',
  [Propagation.PROPAGATION_BIDIRECTIONAL]: 'bidirectional',
};
const propagationNumbers = {
  private: Propagation.PROPAGATION_PRIVATE,
  hostToContainer: Propagation.PROPAGATION_HOST_TO_CONTAINER,
  bidirectional: Propagation.PROPAGATION_BIDIRECTIONAL,
} as const satisfies Record<MountPropagation, number>;

const maxReferenceBytes = 4096;

/** An image reference as the client spells it; what it refers to is looked up later. */
export function toImageSpec(message: ImageSpecMessage, path: string): ImageSpec {
  return {
    image: checkText(message.image, `${path}.image`, maxReferenceBytes),
    annotations: checkMap(message.annotations, `${path}.annotations`, maxMapBytes),
    userSpecifiedImage: checkText(
      message.user_specified_image,
      `${path}.user_specified_image`,
      maxReferenceBytes,
    ),
    runtimeHandler: checkText(message.runtime_handler, `${path}.runtime_handler`, 253),
  };
}

export function fromImageSpec(spec: ImageSpec): ImageSpecInit {
  return {
    image: spec.image,
    annotations: spec.annotations,
    user_specified_image: spec.userSpecifiedImage,
    runtime_handler: spec.runtimeHandler,
  };
}

/** A mount of a host path, or of an image when `image.image` is set. */
export function toMount(message: Mount, path: string): RequestedMount {
  const propagation = toWord(message.propagation, propagations, `${path}.propagation`);
  const image =
    message.image && message.image.image !== '' ? toImageSpec(message.image, `${path}.image`) : undefined;
  if (image !== undefined) {
    if (message.host_path !== '') throw invalidField(`${path}.host_path`, 'must be empty when image is set');
  } else {
    requireAbsolutePath(message.host_path, `${path}.host_path`);
    if (message.image_sub_path !== '')
      throw invalidField(`${path}.image_sub_path`, 'must be empty unless image is set');
  }
  if (message.recursive_read_only && !message.readonly) {
    throw invalidField(`${path}.recursive_read_only`, 'requires readonly');
  }
  if (message.recursive_read_only && propagation !== 'private') {
    throw invalidField(`${path}.recursive_read_only`, 'requires the propagation PROPAGATION_PRIVATE');
  }
  return {
    containerPath: requireAbsolutePath(message.container_path, `${path}.container_path`),
    hostPath: message.host_path,
    isReadonly: message.readonly,
    selinuxRelabel: message.selinux_relabel,
    propagation,
    uidMappings: toIdMappings(message.uidMappings, `${path}.uidMappings`),
    gidMappings: toIdMappings(message.gidMappings, `${path}.gidMappings`),
    isRecursiveReadonly: message.recursive_read_only,
    image,
    imageSubPath: checkRelativePath(message.image_sub_path, `${path}.image_sub_path`),
    mountOptions: toMountOptions(message.mount_options, `${path}.mount_options`),
  };
}

/** Those that take something away. The others would lift what the node's own mount forbids, or undo another field. */
const restrictions: ReadonlySet<string> = new Set([
  'noexec',
  'nodev',
  'nosuid',
  'noatime',
  'nodiratime',
  'relatime',
  'strictatime',
]);
/** Of these the kernel takes one. */
const accessTimes: readonly string[] = ['noatime', 'relatime', 'strictatime'];

function toMountOptions(options: readonly string[], path: string): readonly string[] {
  options.forEach((option, index) => {
    if (!restrictions.has(option))
      throw invalidField(
        `${path}[${index}]`,
        `must be one of ${[...restrictions].join(', ')}: ${JSON.stringify(option.slice(0, 100))}`,
      );
    if (options.indexOf(option) !== index) throw invalidField(`${path}[${index}]`, `repeats ${option}`);
  });
  const times = options.filter((option) => accessTimes.includes(option));
  if (times.length > 1) throw invalidField(path, `contradict each other: ${times.join(', ')}`);
  return options;
}

export function fromMount(mount: RequestedMount): MountInit {
  return {
    container_path: mount.containerPath,
    host_path: mount.hostPath,
    readonly: mount.isReadonly,
    selinux_relabel: mount.selinuxRelabel,
    propagation: propagationNumbers[mount.propagation],
    uidMappings: fromIdMappings(mount.uidMappings),
    gidMappings: fromIdMappings(mount.gidMappings),
    recursive_read_only: mount.isRecursiveReadonly,
    image: mount.image && fromImageSpec(mount.image),
    image_sub_path: mount.imageSubPath,
    mount_options: mount.mountOptions ?? [],
  };
}

/** Absent permissions stand for all of them, as with other runtimes. */
export function toDevice(message: Device, path: string): RequestedDevice {
  if (!/^[rwm]*$/.test(message.permissions)) {
    throw invalidField(
      `${path}.permissions`,
      `must be letters of "rwm": ${JSON.stringify(message.permissions)}`,
    );
  }
  const hostPath = requireAbsolutePath(message.host_path, `${path}.host_path`);
  return {
    hostPath,
    containerPath:
      message.container_path === ''
        ? hostPath
        : requireAbsolutePath(message.container_path, `${path}.container_path`),
    permissions: message.permissions === '' ? 'rwm' : message.permissions,
  };
}
