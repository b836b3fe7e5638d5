#!/usr/bin/env bash
# tools.sh TOOLS_DIR: the build step that quickstart, test and peers share builds in a fresh folder, in one configured by hand with
# another generator (as README.md says), and in one where configuring failed half-way. On a project of one file, not on Tenon.
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
