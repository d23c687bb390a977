/** What a run of the guest is to do: written by the host into the project's disk, read in the guest. */
export interface GuestTask {
  readonly driver: 'systemd' | 'cgroupfs';
  /** Whether critest runs at all; patterns narrow it down. */
  readonly hasSuite: boolean;
  readonly focus: readonly string[];
  readonly skip: readonly string[];
  /** Test files of ours for vitest, after the suite. */
  readonly tests: readonly string[];
  readonly seed: string;
}
