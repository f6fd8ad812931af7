# shellcheck shell=bash
# Sourced by ./npucc and ./test: makes sure that what they run is built and up to date.
# Everything printed here goes to stderr: stdout belongs to the tools.

npucc_packages=(
  # compiler and build
  clang-22 lld-22 g++ cmake ninja-build ccache pkg-config
  # libraries
  libmlir-22-dev mlir-22-tools llvm-22-dev libonnx-dev libprotobuf-dev protobuf-compiler
  libsystemc-dev libeigen3-dev zlib1g-dev
  # tests: catch2 for the unit tests, lit and FileCheck of llvm-22-tools, ONNX's node cases,
  # clang's sanitizers and fuzzer, Verilator for the array that judges the matrix engine's timing
  catch2 llvm-22-tools python3-onnx libclang-rt-22-dev verilator
)

npucc_say() { echo "npucc: $*" >&2; }

# Installs the packages that are missing (root only).
npucc_install_packages() {
  local installed missing=() package
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${npucc_packages[@]}" 2>/dev/null)
  for package in "${npucc_packages[@]}"; do
    [[ $'\n'$installed$'\n' == *$'\n'"installed $package"$'\n'* ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    npucc_say "Debian packages are missing; as root, run:" \
      "apt-get install --no-install-recommends ${missing[*]}"
    return 1
  fi
  npucc_say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}"; } \
    >/dev/null || { npucc_say "apt-get failed; it needs Debian 12 with bookworm-security"; return 1; }
}

# npucc_build ROOT TARGET: builds TARGET ("all" or a tool) in ROOT/build, unless nothing below
# ROOT has changed since that was last done. The check costs one `find`, about 5 ms.
npucc_build() {
  local root=$1 target=$2 build=$1/build
  local stamp=$build/.built-$target inputs=("$root/CMakeLists.txt" "$root"/{cmake,scripts})
  inputs+=("$root"/{runtime,models,simulator,compiler})
  [[ $target == all ]] && inputs+=("$root/tests")
  if [[ -e $stamp && -z $(find "${inputs[@]}" -newer "$stamp" -print -quit) ]]; then
    return 0
  fi
  (
    exec 1>&2 # set-up output is not the tool's output
    npucc_install_packages || exit
    mkdir -p "$build"
    exec 9>"$build/.lock"
    flock 9 # a second caller waits here, then finds nothing to do
    [[ -e $stamp ]] || npucc_say "building in $build (once; some minutes on two cores)"
    : >"$stamp.new" # made first: files edited during the build count as changed
    # A folder that was moved or copied keeps a cache for its old place.
    local fresh=()
    if [[ -e $build/CMakeCache.txt ]] &&
      ! grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$build/CMakeCache.txt"; then
      fresh=(--fresh)
    fi
    if [[ ! -e $build/build.ninja || ${#fresh[@]} -gt 0 ]]; then
      cmake -S "$root" --preset release "${fresh[@]}" >"$build/configure.log" 2>&1 ||
        { cat "$build/configure.log"; exit 1; }
    fi
    ninja -C "$build" ${NPUCC_JOBS:+-j "$NPUCC_JOBS"} "$target" || exit
    mv "$stamp.new" "$stamp"
  ) || { npucc_say "set-up failed"; return 1; }
}
