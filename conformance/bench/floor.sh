#!/bin/bash
# The floor under every runtime: the bare tools, one after another, with nothing remembered and nothing checked.
#
#   floor.sh pod-up|pod-down|container-up|exec|container-down FIRST LAST
#
# Does the step for pods FIRST..LAST and prints "STEP MICROSECONDS" for each. The clock is bash's own, so that reading it
# starts no process. Set by floor.ts: STATE (tmpfs), DISK, LOWER, SPEC (OCI spec with @ID@, @STATE@, @ROOT@), CGROUP,
# CNI_PATH, CNI_CONFS (one file per plugin of the chain: its JSON without the closing brace).
set -eu

now() { NOW=${EPOCHREALTIME//[.,]/}; }

cni() { # COMMAND POD PLUGIN-TYPE CONF-FILE PREVIOUS-RESULT
  local conf
  conf=$(<"$4")
  [ -z "$5" ] || conf="$conf,\"prevResult\":$5"
  CNI_COMMAND=$1 CNI_CONTAINERID=floor-$2 CNI_NETNS=$STATE/$2/net CNI_IFNAME=eth0 "$CNI_PATH/$3" <<<"$conf}"
}

pod_up() {
  local dir=$STATE/$1 result='' plugin
  mkdir -p "$dir"
  : >"$dir/net"
  : >"$dir/ipc"
  : >"$dir/uts"
  unshare --net="$dir/net" --ipc="$dir/ipc" --uts="$dir/uts" sh -c "hostname floor-$1; ip link set lo up"
  for plugin in $CNI_CONFS; do result=$(cni ADD "$1" "${plugin##*.}" "$plugin" "$result"); done
  printf '%s' "$result" >"$dir/result"
}

pod_down() {
  local dir=$STATE/$1 result plugin confs=''
  result=$(<"$dir/result")
  for plugin in $CNI_CONFS; do confs="$plugin $confs"; done
  for plugin in $confs; do cni DEL "$1" "${plugin##*.}" "$plugin" "$result"; done
  umount "$dir/net" "$dir/ipc" "$dir/uts"
  rm -r "$dir"
}

container_up() {
  local dir=$DISK/$1 bundle=$STATE/$1/bundle spec answer
  mkdir -p "$dir/upper" "$dir/work" "$bundle/rootfs" "$STATE/$1/exits"
  mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$dir/upper,workdir=$dir/work" "$bundle/rootfs"
  spec=${SPEC//@ID@/$1}
  printf '%s' "${spec//@STATE@/$STATE}" >"$bundle/config.json"
  # conmon goes into the background by itself; its one line on the sync pipe says that create is done.
  read -r answer < <(
    _OCI_SYNCPIPE=3 conmon --bundle "$bundle" --cid "floor-$1" --cuuid "floor-$1" --name "floor-$1" \
      --exit-dir "$STATE/$1/exits" --log-path "k8s-file:$bundle/log" --conmon-pidfile "$bundle/conmon.pid" \
      --container-pidfile "$bundle/pid" --socket-dir-path "$STATE" --runtime "$(type -P crun)" \
      --runtime-arg --root --runtime-arg "$STATE/crun" --no-sync-log 3>&1 >/dev/null 2>&1
  )
  case $answer in *'"data": -1'*) echo "conmon: $answer" >&2 && exit 1 ;; esac
  crun --root "$STATE/crun" start "floor-$1"
}

exec_true() { crun --root "$STATE/crun" exec "floor-$1" true; }

container_down() {
  local exit_file=$STATE/$1/exits/floor-$1
  crun --root "$STATE/crun" kill "floor-$1" TERM
  while [ ! -e "$exit_file" ]; do read -rt 0.0005 -u "$never" _ || true; done
  crun --root "$STATE/crun" delete "floor-$1"
  umount "$STATE/$1/bundle/rootfs"
  rm -r "$DISK/$1" "$STATE/$1/bundle" "$STATE/$1/exits"
}

case $1 in
  pod-up) step=pod_up ;;
  pod-down) step=pod_down ;;
  container-up) step=container_up ;;
  exec) step=exec_true ;;
  container-down) step=container_down ;;
  *) exit 2 ;;
esac
# Nobody writes here; opened both ways, or opening would wait for a writer.
exec {never}<>"$STATE/never"
for pod in $(seq "$2" "$3"); do
  now && begin=$NOW
  $step "$pod"
  now && echo "$1 $((NOW - begin))"
done
