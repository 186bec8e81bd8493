#!/usr/bin/env bash
# Writes the tables of docs/testing.md: scenario -> test (eng/scenarios.txt and the tests' summaries), and all tests by name.
# usage: eng/test-table.sh
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
export LC_ALL=C

# Every test as: project, file, name, summary; tab separated. A test is the first method after [Fact], [Theory] or a skippable one;
# attributes and data may stand between. Its summary is the comment before.
for project in Raft.Engine.Tests Raft.Api.Tests Raft.Engine.Contracts; do
  find "$project" -name '*.cs' -not -path '*/obj/*' -not -path '*/bin/*' | sort | while read -r file; do
    awk -v project="$project" -v path="${file#"$project"/}" '
      /^ *\/\/\/ / { line = $0; sub(/^ *\/\/\/ /, "", line); summary = summary " " line; next }
      /\[(Skippable)?(Fact|Theory)/ { test = 1; next }
      test && match($0, /(Task|void|ValueTask) [A-Za-z0-9_]+ *\(/) {
        name = substr($0, RSTART, RLENGTH); sub(/^[A-Za-z]+ /, "", name); sub(/ *\($/, "", name)
        gsub(/\t|<[^>]*>/, " ", summary); print project "\t" path "\t" name "\t" summary; test = 0 }
      !test && !/^ *\[/ { summary = "" }' "$file"
  done
done >"$work/tests"

# A summary names scenarios as "B2 test_votes, test_tracker, B9 5: what happens": a section, then names, up to a colon or full stop,
# or to the rule, or section of the dissertation, that stands beside them.
awk -F '\t' '
  FNR == NR {
    gsub(/[:.;]/, " stop ", $4)
    count = split($4, words, /[ ,()]+/); section = ""
    for (i = 1; i <= count; i++) {
      word = words[i]
      if (word ~ /^B[1-9]$/) section = word
      else if (word == "Fault" || word == "fault") section = "Fault"
      else if (word ~ /^(stop|[Rr]ules?|PhD|faults|A7)$/) section = ""
      else if (section != "") {
        class = $2; sub(/.*\//, "", class); sub(/\.cs$/, "", class)
        if (!((section " " word, $3) in seen)) { seen[section " " word, $3] = 1; found[section " " word] = found[section " " word] "|" class "." $3 }
      }
    }
    next
  }
  /^#/ || /^$/ { next }
  {
    line = $0; reason = ""; given = ""
    if (match(line, / - /)) { reason = substr(line, RSTART + 3); line = substr(line, 1, RSTART - 1) }
    else if (match(line, / : /)) { given = substr(line, RSTART + 3); line = substr(line, 1, RSTART - 1) }
    split(line, key, " ")
    cell = reason != "" ? "does not apply: " reason : ""
    tests = found[line]; n = split(given, more, /, */); for (i = 1; i <= n; i++) if (index(tests "|", "|" more[i] "|") == 0) tests = tests "|" more[i]
    n = split(substr(tests, 2), list, "|")
    for (i = 1; i <= n && tests != ""; i++) { text = list[i]; gsub(/_/, " ", text); sub(/\./, ": ", text); cell = cell (cell == "" ? "" : "<br>") text }
    if (cell == "") { print "no test for " line > "/dev/stderr"; cell = "**none**" }
    if (key[1] != before) { printf "\n| %s | test |\n|---|---|\n", key[1]; before = key[1] }
    printf "| `%s` | %s |\n", key[2], cell
    total++; if (reason != "") excused++
  }
  END { printf "\n%d scenarios; %d do not apply.\n", total, excused }' "$work/tests" eng/scenarios.txt >"$work/scenarios"

awk -F '\t' '
  $1 != before { printf "\n### %s\n\n| test | file |\n|---|---|\n", $1; before = $1 }
  { name = $3; gsub(/_/, " ", name); print "| " name " | `" $2 "` |" }' "$work/tests" >"$work/table"

for table in scenarios table; do
  awk -v table="$work/$table" -v begin="<!-- $table: begin -->" -v end="<!-- $table: end -->" '
    $0 == begin { print; while ((getline line < table) > 0) print line; print ""; skip = 1 }
    $0 == end { skip = 0 }
    !skip && $0 != begin { print }' docs/testing.md >"$work/new"
  cp "$work/new" docs/testing.md
done
