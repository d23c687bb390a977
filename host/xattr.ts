/**
 * Extended attributes (xattr(7)), which Node cannot set. A file is named by its path, whose last component is not followed,
 * or by a descriptor. Paths that are no UTF-8 come as bytes, with or without the final zero.
 */
import { constants } from 'node:os';
import koffi from 'koffi';
import { checked, libc, SystemCallError } from './libc.ts';

/** A path of the file system: text where it is UTF-8, bytes where it may not be. */
export type PathBytes = string | Buffer;

/** A path as the C library takes it. */
export function cPath(path: PathBytes): PathBytes {
  if (typeof path === 'string' || path.at(-1) === 0) return path;
  return Buffer.concat([path, Buffer.alloc(1)]);
}

const lsetxattrRaw = libc.func(
  'int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
);
const fsetxattrRaw = libc.func(
  'int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)',
);
const lgetxattrRaw = libc.func(
  'long lgetxattr(const char *path, const char *name, _Out_ void *value, size_t size)',
);
const llistxattrRaw = libc.func('long llistxattr(const char *path, _Out_ void *list, size_t size)');

const largest = 64 << 10;

/** Sets an attribute, replacing an older one. Throws SystemCallError (ENOTSUP where the file system or the kind of file has none). */
export function setXattr(file: PathBytes | number, name: PathBytes, value: Buffer): void {
  const result =
    typeof file === 'number'
      ? fsetxattrRaw(file, cPath(name), value, value.length, 0)
      : lsetxattrRaw(cPath(file), cPath(name), value, value.length, 0);
  checked(result, 'setxattr', `${name.toString('utf8')} of ${describe(file)}`);
}

/** The value of an attribute; undefined if it is not set, or cannot be on this file system. Throws SystemCallError. */
export function findXattr(path: PathBytes, name: string): Buffer | undefined {
  const value = Buffer.alloc(largest);
  const size = lgetxattrRaw(cPath(path), name, value, value.length);
  if (size >= 0) return value.subarray(0, Number(size));
  const errno = koffi.errno();
  if (errno === constants.errno.ENODATA || errno === constants.errno.EOPNOTSUPP) return undefined;
  throw new SystemCallError('lgetxattr', errno, `${name} of ${describe(path)}`);
}

/** The names of all attributes; none where the file system has no attributes. Throws SystemCallError. */
export function listXattrs(path: PathBytes): string[] {
  const list = Buffer.alloc(largest);
  const size = llistxattrRaw(cPath(path), list, list.length);
  if (size >= 0)
    return list
      .toString('utf8', 0, Number(size))
      .split('\0')
      .filter((name) => name !== '');
  const errno = koffi.errno();
  if (errno === constants.errno.EOPNOTSUPP) return [];
  throw new SystemCallError('llistxattr', errno, describe(path));
}

function describe(file: PathBytes | number): string {
  return typeof file === 'number' ? `fd ${file}` : file.toString('utf8');
}
