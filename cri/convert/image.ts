/** Images to the CRI's Image, and the credentials of a pull. */
import type { FilesystemUsage, Image, ImageService, PullCredentials } from '#images/contract.ts';
import { encode } from '#proto/codec.ts';
import type { AuthConfig, FilesystemUsageInit, ImageInit } from '#proto/generated/cri.ts';
import { checkText, invalidField } from './field.ts';

const encoded = new WeakMap<Image, Buffer>();

/** The encoded Image; kept as long as the object, which a changed image replaces. */
export function encodedImage(image: Image): Buffer {
  let bytes = encoded.get(image);
  if (bytes === undefined) {
    bytes = encode('Image', toImage(image));
    encoded.set(image, bytes);
  }
  return bytes;
}

export function toImage(image: Image): ImageInit {
  return {
    id: image.id,
    repo_tags: image.repoTags,
    repo_digests: image.repoDigests,
    size: BigInt(image.sizeBytes),
    ...toImageUser(image.config.user),
    pinned: image.isPinned,
  };
}

/**
 * The user part of an image's `user[:group]`: a uid if it is a number, else a name; neither when unset. The kubelet
 * judges runAsNonRoot by it.
 */
function toImageUser(user: string): Pick<ImageInit, 'uid' | 'username'> {
  const name = user.split(':', 1)[0]!;
  if (name === '') return {};
  return /^\d{1,10}$/.test(name) ? { uid: { value: BigInt(name) } } : { username: name };
}

/** undefined for an absent message or one without a single value. */
export function toCredentials(auth: AuthConfig | undefined): PullCredentials | undefined {
  if (auth === undefined) return undefined;
  const credentials: PullCredentials = {
    username: auth.username,
    password: auth.password,
    auth: auth.auth,
    serverAddress: auth.server_address,
    identityToken: auth.identity_token,
    registryToken: auth.registry_token,
  };
  for (const [name, value] of Object.entries(credentials)) checkText(value, `auth.${name}`, 1024 * 1024);
  if (auth.auth !== '' && !Buffer.from(auth.auth, 'base64').includes(':'))
    throw invalidField('auth.auth', 'is not the base64 of user:password');
  return Object.values(credentials).some((value) => value !== '') ? credentials : undefined;
}

export function toFilesystemUsage(usage: FilesystemUsage, atNs: bigint): FilesystemUsageInit {
  return {
    timestamp: atNs,
    fs_id: { mountpoint: usage.mountPoint },
    used_bytes: { value: BigInt(usage.usedBytes) },
    inodes_used: { value: BigInt(usage.inodesUsed) },
  };
}

/** All images; with a reference, the one it finds, or none. */
export function listedImages(images: ImageService, reference: string): readonly Image[] {
  if (reference === '') return images.list();
  const image = images.find(checkText(reference, 'filter.image.image', 4096));
  return image === undefined ? [] : [image];
}

/** The `info` of verbose status: the chain of layers and the OCI image config as pulled. */
export function imageInfo(image: Image): string {
  let imageSpec: unknown;
  try {
    imageSpec = JSON.parse(image.rawConfig);
  } catch {
    imageSpec = null; // no JSON config: an artifact
  }
  return JSON.stringify({ chainID: image.chainId ?? '', labels: image.config.labels, imageSpec });
}
