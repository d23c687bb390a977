/** Giving memory back that only the start of the process needed. */
import { readFileSync } from 'node:fs';
import { libc } from './libc.ts';

const MADV_DONTNEED = 4;
const madviseRaw = libc.func('int madvise(uintptr_t address, size_t length, int advice)');
const mallocTrimRaw = libc.func('int malloc_trim(size_t padding)');

/**
 * Gives free heap back to the kernel, and lets go of the program text that is mapped: what runs again comes back from the
 * page cache by minor faults, a few hundred of them, and what only the start needed (V8's compilers for the most part) stays
 * out. Text is never written, so nothing can be lost. Takes some 15 ms. Failure of a call changes nothing and is ignored.
 */
export function releaseMemory(): void {
  mallocTrimRaw(0);
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    // Executable and not writable, backed by a file (inode not 0): see proc_pid_maps(5).
    const match = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ [1-9]\d* +\//.exec(line);
    if (!match) continue;
    const start = BigInt(`0x${match[1]}`);
    madviseRaw(start, BigInt(`0x${match[2]}`) - start, MADV_DONTNEED);
  }
}
