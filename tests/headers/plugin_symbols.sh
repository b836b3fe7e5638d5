#!/usr/bin/env bash
# plugin_symbols.sh PLUGIN-DIR: each built plugin needs no symbol of the host (none that begins with tenon_), and exports
# exactly tenon_plugin_entry.
set -u
failed=0 n=0

fail() { # PLUGIN WHAT
  echo "FAILED: $1 $2" >&2
  failed=$((failed + 1))
}

for plugin in "$1"/*.so; do
  [ -f "$plugin" ] || continue
  n=$((n + 1))
  symbols=$(nm -D "$plugin") || { fail "$plugin" "cannot be read by nm"; continue; }
  wanted=$(awk '$1 ~ /^[Uwv]$/ && $2 ~ /^tenon_/ { print $2 }' <<<"$symbols" | xargs)
  exported=$(awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }' <<<"$symbols" | xargs)
  [ -z "$wanted" ] || fail "$plugin" "needs symbols that only a host could give: $wanted"
  [ "$exported" = tenon_plugin_entry ] || fail "$plugin" "exports '$exported', not tenon_plugin_entry alone"
done
echo "plugins: $n looked at, $failed faults"
if [ $n -eq 0 ]; then
  echo "FAILED: no plugin in $1: build all first" >&2
  exit 1
fi
[ $failed -eq 0 ]
