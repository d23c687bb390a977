/** berthd as lists of processes show it: from its sources, or from the bundle of an installed one. */
const program = /(^|\/)(daemon\/main\.ts|program\/berthd\.cjs)$/;

/** Whether a command line is that of berthd. */
export function isDaemonCommand(words: readonly string[]): boolean {
  return words.some((word) => program.test(word));
}
