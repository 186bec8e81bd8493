#!/usr/bin/env bash
# Medians of a results file of compare.sh as a Markdown table, with the ratio of RaftHost to etcd in the same repetition.
# usage: summary.sh RESULTS
set -eu
sort -t$'\t' -k1,1n "${1:?a results file}" | awk -F'\t' '
function median(list,   n, a, i, j, t) { n = split(list, a, " "); for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j-1] + 0 > a[j] + 0; j--) { t = a[j]; a[j] = a[j-1]; a[j-1] = t }
  return n == 0 ? "" : n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2 }
$3 == "rss" { memory[$2] = memory[$2] (memory[$2] ? "; " : "") $5 ", " $6 ", " $7; written[$2] = written[$2] " " $4; next }
{ key = $2 SUBSEP $3 SUBSEP $4; if (!(key in ops)) order[++keys] = key
  ops[key] = ops[key] " " $5; p50[key] = p50[key] " " $6; p99[key] = p99[key] " " $7; errors[key] += $8; value[$1, key] = $5; if ($1 + 0 > repetitions) repetitions = $1 }
END {
  print "| system | workload | clients | ops/s | p50 ms | p99 ms | errors | to etcd JSON | to etcd gRPC |"
  print "|---|---|---|---|---|---|---|---|---|"
  for (k = 1; k <= keys; k++) { split(order[k], part, SUBSEP); json = grpc = ""
    for (r = 1; r <= repetitions; r++) { mine = value[r, order[k]]
      other = value[r, "etcd" SUBSEP part[2] SUBSEP part[3]]; if (other > 0 && part[1] != "etcd") json = json " " mine / other
      other = value[r, "etcd-grpc" SUBSEP part[2] SUBSEP part[3]]; if (other > 0 && part[1] != "etcd-grpc") grpc = grpc " " mine / other }
    printf "| %s | %s | %s | %.0f | %.2f | %.2f | %d | %s | %s |\n", part[1], part[2] == "w" ? "write" : "read", part[3], median(ops[order[k]]), median(p50[order[k]]), median(p99[order[k]]), errors[order[k]],
      json == "" ? "" : sprintf("%.2f", median(json)), grpc == "" ? "" : sprintf("%.2f", median(grpc)) }
  print ""; print "| system | writes done, median | resident MB a node, each run |"; print "|---|---|---|"
  for (s in memory) printf "| %s | %d | %s |\n", s, median(written[s]), memory[s] }'
