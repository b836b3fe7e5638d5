#!/usr/bin/env bash
# compile_alone.sh INCLUDE-DIR CC [CXX]: each header of the SDK compiles alone and twice, as C11 and as C++17, with pedantic
# warnings as errors, by the build's compilers and by clang; and a plugin's entry point has its name in both languages. Exit 77 when
# all passed but a C++ compiler was missing.
set -u
include=$1 cc=$2 cxx=${3:-g++}
failed=0 passed=0 missing=""

compile() { # HEADER COMPILER LANGUAGE STANDARD
  if printf '#include <tenon/%s>\n#include <tenon/%s>\n' "$1" "$1" |
    "$2" -x "$3" -std="$4" -Wall -Wextra -Wpedantic -Werror -I "$include" -c -o /dev/null -; then
    passed=$((passed + 1))
  else
    echo "FAILED: <tenon/$1> does not compile alone as $4 with $2: see above" >&2
    failed=$((failed + 1))
  fi
}

entry() { # COMPILER LANGUAGE STANDARD
  local object
  object=$(mktemp) || exit 1
  printf '#include <tenon/plugin.h>\nstatic const struct tenon_plugin p = {sizeof p, TENON_ABI};\nTENON_PLUGIN_ENTRY(p)\n' |
    "$1" -x "$2" -std="$3" -w -I "$include" -c -o "$object" -
  if nm "$object" | grep -q ' T tenon_plugin_entry$'; then
    passed=$((passed + 1))
  else
    echo "FAILED: TENON_PLUGIN_ENTRY as $3 with $1 makes no symbol tenon_plugin_entry" >&2
    failed=$((failed + 1))
  fi
  rm -f "$object"
}

try() { # COMPILER LANGUAGE STANDARD
  if ! command -v "$1" >/dev/null; then
    echo "SKIPPED: headers as $3 with $1: it is not installed" >&2
    missing="$missing $1"
    return
  fi
  for header in "$include"/tenon/*.h; do
    compile "$(basename "$header")" "$1" "$2" "$3"
  done
  entry "$1" "$2" "$3"
}

try "$cc" c c11
try "$cxx" c++ c++17
[ "$(basename "$cc")" = clang ] || try clang c c11
[ "$(basename "$cxx")" = clang++ ] || try clang++ c++ c++17
echo "headers: $passed passed, $failed failed${missing:+, without$missing}"
[ $failed -eq 0 ] && [ $passed -gt 0 ] || exit 1
[ -z "$missing" ] || exit 77
