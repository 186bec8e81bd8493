# Reads Cobertura as coverlet writes it, an element on each line. A file may be in several classes (partial, nested, closures): its
# lines are taken together by number. Lines stand once with their method and once with their class: the latter count.
function value(name,  text) {
  if (!match($0, name "=\"[^\"]*\"")) return ""
  text = substr($0, RSTART, RLENGTH)
  sub(/^[^"]*"/, "", text); sub(/"$/, "", text)
  return text
}
/<source>/ { source = $0; gsub(/.*<source>|<\/source>.*/, "", source) }
/<class / {
  file = value("filename")
  if (file !~ /^\//) file = source file
  at = index(file, "Raft."); file = substr(file, at)
  isOfClass = 1
}
/<methods>/ { isOfClass = 0 }
/<\/methods>/ { isOfClass = 1 }
/<line / && isOfClass {
  key = file SUBSEP value("number")
  if (!(key in hits)) { hits[key] = 0; files[file] = 1 }
  if (value("hits") + 0 > hits[key]) hits[key] = value("hits") + 0
  if (value("branch") == "True" || value("branch") == "true") {
    conditions = value("condition-coverage"); gsub(/.*\(|\).*/, "", conditions); split(conditions, part, "/")
    reached[key] += part[1]; branches[key] += part[2]
  }
}
END {
  for (key in hits) {
    split(key, place, SUBSEP); folder = place[1]; sub(/\/[^\/]*$/, "", folder)
    folders[folder] = 1
    lines[folder]++; linesReached[folder] += hits[key] > 0
    all[folder] += branches[key]; allReached[folder] += reached[key]
    if (folder ~ /Raft\.Engine\/Protocol$/ && (hits[key] == 0 || reached[key] < branches[key]))
      missing[++count] = sprintf("%s:%05d %s", place[1], place[2], hits[key] == 0 ? "line" : reached[key] "/" branches[key])
  }
  print "| folder | lines | branches |"; print "|---|---|---|"
  sort = "sort"
  for (folder in folders)
    printf "| `%s` | %.1f %% (%d of %d) | %.1f %% (%d of %d) |\n", folder, 100 * linesReached[folder] / lines[folder], linesReached[folder], lines[folder], all[folder] ? 100 * allReached[folder] / all[folder] : 100, allReached[folder], all[folder] | sort
  close(sort)
  print ""; print "Not reached in Raft.Engine/Protocol:"
  for (i = 1; i <= count; i++) { sub(/:0+/, ":", missing[i]) ; print missing[i] | "sort -t: -k1,1 -k2,2n" }
}
