/** A CDI specification as data. The names are those of the format (CDI SPEC.md, JSON Definition). */
import type { StagedHook } from '../spec/hooks.ts';

export interface CdiDeviceNode {
  /** In the container. */
  readonly path: string;
  /** On the host; '' if it is `path`. */
  readonly hostPath: string;
  /** What is undefined is that of the host's node. */
  readonly type: 'c' | 'b' | 'u' | 'p' | undefined;
  readonly major: number | undefined;
  readonly minor: number | undefined;
  readonly fileMode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Of "rwm"; '' for no access at all. */
  readonly access: string;
}

export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** What changes in an OCI spec. */
export interface CdiEdits {
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly deviceNodes: readonly CdiDeviceNode[];
  readonly mounts: readonly CdiMount[];
  readonly hooks: readonly StagedHook[];
  readonly additionalGids: readonly number[];
  /** Valid edits that are not carried out, because crun would pass over them without a word; their device is refused. */
  readonly unsupported: readonly string[];
}

export interface CdiSpecification {
  /** `vendor/class` */
  readonly kind: string;
  /** For every container that gets one of the devices. */
  readonly edits: CdiEdits;
  /** By name, without the kind. */
  readonly devices: ReadonlyMap<string, CdiEdits>;
}
