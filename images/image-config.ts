/** The OCI image config (image-spec, config.md): the parts that running a container and unpacking layers need. */
import { RuntimeError } from '#base/errors.ts';
import type { Digest, ImageConfig } from './contract.ts';
import { isDigest } from './digest.ts';
import { type Platform, parseJsonObject } from './manifest.ts';

export interface ParsedImageConfig {
  readonly config: ImageConfig;
  readonly platform: Platform;
  /** Digests of the uncompressed layers, base first. */
  readonly diffIds: readonly Digest[];
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** Parses an image config blob. Throws Unknown, naming `subject`, if it is no JSON object or a diff ID is none. */
export function parseImageConfig(raw: Buffer | string, subject: string): ParsedImageConfig {
  const value = parseJsonObject(raw, subject);
  const config = record(value.config);
  const diffIds = strings(record(value.rootfs).diff_ids);
  for (const diffId of diffIds)
    if (!isDigest(diffId))
      throw new RuntimeError('Unknown', `${subject}: ${JSON.stringify(diffId)} is no diff ID`);
  const labels = Object.entries(record(config.Labels)).filter(([, label]) => typeof label === 'string');
  return {
    platform: { os: text(value.os), architecture: text(value.architecture), variant: text(value.variant) },
    diffIds: diffIds as Digest[],
    config: {
      user: text(config.User),
      env: strings(config.Env),
      entrypoint: strings(config.Entrypoint),
      command: strings(config.Cmd),
      workingDir: text(config.WorkingDir),
      volumes: Object.keys(record(config.Volumes)),
      stopSignal: text(config.StopSignal),
      labels: Object.fromEntries(labels) as Record<string, string>,
    },
  };
}

/** The config of an artifact that is no image: nothing to run, but its layers can be mounted as an image volume. */
export const emptyImageConfig: ImageConfig = {
  user: '',
  env: [],
  entrypoint: [],
  command: [],
  workingDir: '',
  volumes: [],
  stopSignal: '',
  labels: {},
};
