#!/usr/bin/env bash
# tools.sh TOOLS_DIR: the build step that quickstart, test and peers share builds in a fresh folder, in one configured by hand with
# another generator (as README.md says), and in one where configuring failed half-way; not where others can write. On a project of
# one file, not on Tenon.
set -eu
. "$1/common.sh"
SOURCE_DIR=$(mktemp -d)
trap 'rm -rf "$SOURCE_DIR"' EXIT
printf 'cmake_minimum_required(VERSION 3.22)\nproject(p NONE)\nadd_custom_target(made ALL COMMAND ${CMAKE_COMMAND} -E touch made)\n' \
  >"$SOURCE_DIR/CMakeLists.txt"

cmake -S "$SOURCE_DIR" -B "$SOURCE_DIR/by-hand" -G 'Unix Makefiles' >/dev/null
cmake -S "$SOURCE_DIR" -B "$SOURCE_DIR/half" -G 'Unix Makefiles' >/dev/null
rm "$SOURCE_DIR/half/Makefile"
for dir in fresh by-hand half; do
  build "$SOURCE_DIR/$dir"
  [ -f "$SOURCE_DIR/$dir/made" ] || die "nothing was built in $dir"
done

# Where others can write, plugins are refused one folder after the other: that is said before the build, with one remedy for all.
chmod g+w "$SOURCE_DIR"
if why=$(build "$SOURCE_DIR/fresh" 2>&1) || [[ $why != *"chmod -R go-w '$SOURCE_DIR'"* ]]; then
  die "a folder that others can write was built in: $why"
fi
chmod g-w "$SOURCE_DIR"
chmod g+w "$SOURCE_DIR/fresh/made"
if why=$(build "$SOURCE_DIR/fresh" 2>&1) || [[ $why != *"fresh/made can be written by others"* ]]; then
  die "a build that others can write was used: $why"
fi
(umask 002 && . "$1/common.sh" && [ "$(umask)" = 0022 ]) || die "what is built can be written by others"
