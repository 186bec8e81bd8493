#!/usr/bin/env bash
# RaftHost beside etcd, in one run, so that ratios hold: for each repetition each system in turn (one cluster up at a
# time), durable writes of 256 bytes and then linearizable reads at each number of clients, to the leader.
# One line a measurement goes to RESULTS (tab-separated):
#   repetition system workload clients ops/s p50_ms p99_ms errors load_average idle_percent_before
# and after each turn: repetition system rss writes_done MB1 MB2 MB3 0 load idle
# usage: compare.sh DATA_DIR RESULTS [REPETITIONS=3 [SECONDS=5 [SYSTEMS="etcd etcd-grpc rafthost" [CLIENTS="1 16 64 256"]]]]
# needs: BIN (a published Raft.Host), ETCD_LOAD (etcd-load.go, built: see docs/performance.md), etcd, wrk, curl
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=${1:?a data directory}; out=${2:?a results file}; repetitions=${3:-3}; seconds=${4:-5}
systems=${5:-etcd etcd-grpc rafthost}; levels=${6:-1 16 64 256}

idle() { # percent of both cores over one second
  local -a a b; local total=0 i
  read -ra a </proc/stat; sleep 1; read -ra b </proc/stat
  for i in 1 2 3 4 5 6 7 8; do total=$((total + b[i] - a[i])); done
  echo $((100 * (b[4] + b[5] - a[4] - a[5]) / (total > 0 ? total : 1))); }
quiet() { local i; for _ in $(seq 60); do i=$(idle); [ "$i" -ge 90 ] && break; sleep 1; done; echo "$i"; }
ms() { awk -v v="$1" 'BEGIN { n = v + 0; if (v ~ /(u|µ)s$/) n /= 1000; else if (v ~ /[0-9]s$/ && v !~ /ms$/) n *= 1000; printf "%.3f", n }'; }
with_wrk() { # URL SCRIPT CLIENTS SECONDS -> ops/s p50 p99 errors requests
  local o e
  o=$(timeout $(($4 + 30)) wrk -t1 -c"$3" -d"$4"s --timeout 10s --latency -s "$here/$2" "$1")
  e=$(awk '/Non-2xx/ { e += $NF } /Socket errors/ { gsub(",", ""); e += $4 + $6 + $8 + $10 } END { print e + 0 }' <<<"$o")
  echo "$(awk '/Requests\/sec/ { print $2 }' <<<"$o") $(ms "$(awk '$1 == "50%" { print $2 }' <<<"$o")") $(ms "$(awk '$1 == "99%" { print $2 }' <<<"$o")") $e $(awk '/requests in/ { print $1 }' <<<"$o")"; }
with_grpc() { # URL w|r CLIENTS SECONDS -> the same
  local -a read_flag=(); [ "$2" = r ] && read_flag=(-r)
  timeout $(($4 + 40)) "${ETCD_LOAD:?}" -e "${1#http://}" -c "$3" -d "$4s" "${read_flag[@]}" |
    awk '{ for (i = 1; i <= NF; i++) { split($i, p, "="); v[p[1]] = p[2] } print v["ops/s"], v["p50"], v["p99"], v["errs"], v["ops"] }' |
    { read -r a b c d e; echo "$a $(ms "$b") $(ms "$c") $d $e"; }; }

for repetition in $(seq "$repetitions"); do for system in $systems; do
  before=$(quiet); load=$(cut -d' ' -f1 /proc/loadavg)
  case $system in
    etcd|etcd-grpc) cluster=etcd-cluster.sh ;;
    rafthost) cluster=rafthost-cluster.sh ;;
    *) echo "unknown system $system" >&2; exit 2 ;;
  esac
  dir=$data/$system; "$here/$cluster" start "$dir"
  leader=$("$here/$cluster" leader "$dir"); url=$("$here/$cluster" urls "$dir" | sed -n "${leader}p"); writes=0
  one() { # w|r CLIENTS SECONDS
    if [ "$system" = etcd-grpc ]; then with_grpc "$url" "$1" "$2" "$3"
    elif [ "$1" = w ]; then with_wrk "$url" "$system-put.lua" "$2" "$3"
    else with_wrk "$url" "$system-get.lua" "$2" "$3"; fi; }
  read -r _ _ _ _ done_ops <<<"$(one w 64 3)"; writes=$((writes + done_ops)); one r 64 2 >/dev/null   # warm-up, not counted
  for workload in w r; do for clients in $levels; do
    read -r ops p50 p99 errors done_ops <<<"$(one $workload "$clients" "$seconds")"
    [ $workload = w ] && writes=$((writes + done_ops))
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$repetition" "$system" $workload "$clients" "$ops" "$p50" "$p99" "$errors" "$load" "$before" >>"$out"
  done; done
  memory=()
  for n in 1 2 3; do memory+=("$(awk '/VmRSS/ { printf "%.0f", $2 / 1024 }' "/proc/$(cat "$dir/pid$n")/status")"); done
  printf '%s\t%s\trss\t%s\t%s\t%s\t%s\t0\t%s\t%s\n' "$repetition" "$system" "$writes" "${memory[@]}" "$load" "$before" >>"$out"
  "$here/$cluster" stop "$dir"; rm -rf "$dir"
done; done
