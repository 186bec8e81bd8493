#!/usr/bin/env bash
# Writes the table of all tests into docs/testing.md, from their names. usage: eng/test-table.sh
set -euo pipefail
cd "$(dirname "$0")/.."
table=$(mktemp); trap 'rm -f "$table"' EXIT
export LC_ALL=C
for project in Raft.Engine.Tests Raft.Api.Tests Raft.Engine.Contracts; do
  find "$project" -name '*.cs' -not -path '*/obj/*' -not -path '*/bin/*' | sort | while read -r file; do
    # A test is the first method after [Fact], [Theory] or a skippable one; attributes and data may stand between.
    awk -v project="$project" -v path="${file#"$project"/}" '
      /\[(Skippable)?(Fact|Theory)/ { test = 1; next }
      test && match($0, /(Task|void|ValueTask) [A-Za-z0-9_]+ *\(/) {
        name = substr($0, RSTART, RLENGTH); sub(/^[A-Za-z]+ /, "", name); sub(/ *\($/, "", name); gsub(/_/, " ", name); print "| " name " | `" path "` |"; test = 0 }' "$file"
  done >"$table.part"
  [ -s "$table.part" ] || { rm -f "$table.part"; continue; }
  printf '\n### %s\n\n| scenario | file |\n|---|---|\n' "$project" >>"$table"
  cat "$table.part" >>"$table"; rm -f "$table.part"
done
awk -v table="$table" '
  /<!-- table: begin -->/ { print; while ((getline line < table) > 0) print line; print ""; skip = 1 }
  /<!-- table: end -->/ { skip = 0 }
  !skip && !/<!-- table: begin -->/ { print }' docs/testing.md >"$table.new"
mv "$table.new" docs/testing.md
