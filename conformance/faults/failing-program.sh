#!/bin/sh
# Stands in for a program that berthd starts (conmon, an OCI runtime, a CNI plugin, nft) and fails as told. It is found under that
# program's name in the folder BED/programs; BED/programs/NAME.real links to the program. BED/program-fault may hold a line
#
#   NAME OPERATION ACTION [N]
#
# which is taken by the first program that it fits, or the Nth, so that it happens once. OPERATION is a subcommand of an OCI runtime, a
# CNI command, `write` for nft where it does not only read, or `run` for others. ACTION is
#
#   error        says what went wrong and ends with 1
#   garbage      does its work, prints bytes that mean nothing where an answer is read, and ends well
#   hang         does nothing until BED/program-fault.hanging is removed, then its work
#   die          is killed in the midst of its work
#   die-after    is killed when its work is done, before it says so
#   kill-daemon  kills berthd (BED/berthd.pid), then does its work
name=${0##*/}
here=${0%/*}
bed=${here%/*}
fault=$bed/program-fault
real=$(readlink "$here/$name.real")

[ -e "$fault" ] || exec "$real" "$@"

operation=${CNI_COMMAND:-}
if [ "$name" = conmon ]; then operation=run; fi
if [ "$name $*" = 'nft -f -' ]; then operation=write; fi
for word in "$@"; do
  [ -z "$operation" ] || break
  case $word in create | start | exec | delete | update | pause | resume | checkpoint | restore) operation=$word ;; esac
done
read -r wantedName wantedOperation action pass 2>/dev/null <"$fault"
if [ "$name $operation" != "$wantedName $wantedOperation" ] || ! mv "$fault" "$fault.$$" 2>/dev/null; then
  exec "$real" "$@"
fi
if [ "${pass:-1}" -gt 1 ]; then
  echo "$name $operation $action $((pass - 1))" >"$fault.$$"
  mv "$fault.$$" "$fault"
  exec "$real" "$@"
fi
mv "$fault.$$" "$fault.done"

say() {
  if [ -n "${CNI_COMMAND:-}" ]; then
    printf '{"cniVersion":"1.0.0","code":11,"msg":"%s","details":""}' "$1"
    return
  fi
  previous=
  for word in "$@"; do
    if [ "$previous" = --log ]; then echo "$1" >"$word"; fi
    previous=$word
  done
  echo "$1" >&2
}

garbage() { printf '\001\377{"pid":\033[2J]]nonsense\n'; }

case $action in
error)
  words='this program was told to fail'
  say "$words" "$@"
  exit 1
  ;;
garbage)
  if [ "$name" = conmon ]; then
    garbage >&3
    exec 3>&-
    "$real" "$@" 3>/dev/null
    exit
  fi
  if [ -n "${CNI_COMMAND:-}" ]; then "$real" "$@" >/dev/null || exit; garbage; exit 0; fi
  garbage
  garbage >&2
  exec "$real" "$@"
  ;;
hang)
  echo "$name $operation" >"$fault.hanging"
  while [ -e "$fault.hanging" ]; do sleep 0.02; done
  ;;
die)
  # Its standard input goes to it, which the shell would take away from a job in the background.
  exec 9<&0
  "$real" "$@" <&9 &
  sleep 0.004
  kill -9 $! 2>/dev/null
  kill -9 $$
  ;;
die-after)
  "$real" "$@"
  kill -9 $$
  ;;
kill-daemon)
  kill -9 "$(cat "$bed/berthd.pid")"
  ;;
esac
exec "$real" "$@"
