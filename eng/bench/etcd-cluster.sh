#!/usr/bin/env bash
# A three-node etcd cluster on loopback, default settings (every log append is synced before it is acknowledged).
# needs: apt-get install -y etcd-server curl
# usage: etcd-cluster.sh start DIR | stop DIR | node DIR I | leader DIR | urls DIR
#   client ports 12379 22379 32379; DIR/pidI holds each node's process id. 'node' starts node I again on its own data.
set -eu
cmd=${1:?start, stop, node, leader or urls}; dir=${2:?a directory}
node() {
  local url=http://127.0.0.1:$1
  etcd --name "n$1" --data-dir "$dir/n$1" --log-level error \
    --listen-client-urls "${url}2379" --advertise-client-urls "${url}2379" \
    --listen-peer-urls "${url}2380" --initial-advertise-peer-urls "${url}2380" --initial-cluster-state new \
    --initial-cluster n1=http://127.0.0.1:12380,n2=http://127.0.0.1:22380,n3=http://127.0.0.1:32380 >>"$dir/log$1" 2>&1 &
  echo $! >"$dir/pid$1"; }
field() { grep -o "\"$1\":\"[0-9]*\"" <<<"$2" | grep -o '[0-9]*'; }
leader() { local i s; for i in 1 2 3; do
    s=$(curl -s -m 1 -X POST -d '{}' "http://127.0.0.1:${i}2379/v3/maintenance/status") || continue
    [ -n "$(field leader "$s")" ] && [ "$(field member_id "$s")" = "$(field leader "$s")" ] && { echo "$i"; return 0; }
  done; return 1; }
case $cmd in
start) mkdir -p "$dir"; rm -rf "$dir"/n? "$dir"/pid? "$dir"/log?; for i in 1 2 3; do node $i; done
  for _ in $(seq 60); do leader >/dev/null && exit 0; sleep .5; done; echo 'no leader in 30 s' >&2; exit 1 ;;
node) node "${3:?which node}" ;;
leader) leader ;;
urls) for i in 1 2 3; do echo "http://127.0.0.1:${i}2379"; done ;;
stop) for i in 1 2 3; do kill "$(cat "$dir/pid$i")" 2>/dev/null || true; done
  for i in 1 2 3; do p=$(cat "$dir/pid$i"); for _ in $(seq 50); do kill -0 "$p" 2>/dev/null || break; sleep .1; done; kill -9 "$p" 2>/dev/null || true; done ;;
esac
