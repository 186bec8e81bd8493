#!/usr/bin/env bash
# Three RaftHost nodes on loopback (API 14081 14082 14083, peers 14091 14092 14093), default settings: every write is on
# a majority's disks, synced, before it is acknowledged.
# build first: dotnet publish Raft.Host -c Release -o BIN      then: export BIN=that folder
# usage: rafthost-cluster.sh start DIR | stop DIR | node DIR I | leader DIR | urls DIR
#   DIR/pidI holds each node's process id, DIR/logI its output. 'node' starts node I again on its own data.
#   More settings: as environment variables, e.g. Raft__Limits__MaxAppendBytes=524288.
set -eu
cmd=${1:?start, stop, node, leader or urls}; dir=${2:?a directory}
node() {
  local i=$1 j; local -a settings=(Raft__ClusterId=bench Raft__NodeId=n$i "Raft__DataDirectory=$dir/n$i" Raft__Bootstrap=false
    Kestrel__Endpoints__Api__Url=http://127.0.0.1:1408$i Kestrel__Endpoints__Peer__Url=http://127.0.0.1:1409$i
    Logging__LogLevel__Default=Warning)
  for j in 1 2 3; do settings+=("Raft__Members__$((j - 1))__Id=n$j" "Raft__Members__$((j - 1))__PeerUrl=http://127.0.0.1:1409$j"
    "Raft__Members__$((j - 1))__ApiUrl=http://127.0.0.1:1408$j"); done
  env "${settings[@]}" dotnet "${BIN:?the published Raft.Host}/Raft.Host.dll" >>"$dir/log$i" 2>&1 &
  echo $! >"$dir/pid$i"; }
leader() { for i in 1 2 3; do curl -s -m 1 "http://127.0.0.1:1408$i/v1/status" | grep -q '"role": *"leader"' && { echo $i; return 0; }; done; return 1; }
case $cmd in
start) mkdir -p "$dir"; rm -rf "$dir"/n? "$dir"/pid? "$dir"/log?; for i in 1 2 3; do node $i; done
  for _ in $(seq 60); do leader >/dev/null && exit 0; sleep .5; done; echo 'no leader in 30 s' >&2; exit 1 ;;
node) node "${3:?which node}" ;;
leader) leader ;;
urls) for i in 1 2 3; do echo http://127.0.0.1:1408$i; done ;;
stop) for i in 1 2 3; do kill "$(cat "$dir/pid$i")" 2>/dev/null || true; done
  for i in 1 2 3; do p=$(cat "$dir/pid$i"); for _ in $(seq 50); do kill -0 $p 2>/dev/null || break; sleep .1; done; kill -9 $p 2>/dev/null || true; done ;;
esac
