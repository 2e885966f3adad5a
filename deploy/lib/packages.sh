# shellcheck shell=bash disable=SC2034,SC2154
# Debian packages: what building and running needs, and installing what is missing. Sourced after common.sh.

readonly packages_build=(
  g++ cmake ninja-build pkg-config ccache mold
  protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libgrpc++-dev libabsl-dev
  libboost1.81-dev libsqlite3-dev libsqlitecpp-dev libyaml-cpp-dev libspdlog-dev libcli11-dev
  nlohmann-json3-dev libzstd-dev libhidapi-dev libusb-1.0-0-dev libudev-dev libssl-dev
  libumockdev-dev umockdev libgtest-dev libgmock-dev librapidcheck-dev sqlite3
)

readonly packages_lint=(clang-format clang-tidy)
# libFuzzer is in the runtime of clang, which Debian does not install with it.
readonly packages_fuzz=(clang libclang-rt-14-dev)

# packages_missing NAME…: prints those that are not installed, one per line.
packages_missing() {
  local name installed
  # dpkg-query fails when it does not know one of them, which is no failure here.
  installed=" $({ dpkg-query -W -f='${db:Status-Abbrev}|${Package}\n' -- "$@" 2>/dev/null || true; } |
    sed -n 's/^ii *|//p' | tr '\n' ' ') "
  for name in "$@"; do
    [[ $installed == *" $name "* ]] || printf '%s\n' "$name"
  done
}

# packages_ensure NAME…: installs what is missing; says nothing when nothing is. Returns 1 after saying why not.
packages_ensure() {
  local missing log=$build_root/logs/packages.log removed
  mapfile -t missing < <(packages_missing "$@")
  ((${#missing[@]} > 0)) || return 0

  if ! command -v apt-get >/dev/null; then
    say "    these Debian packages are missing and there is no apt-get here: ${missing[*]}" >&2
    return 1
  fi
  note "installing from Debian: ${missing[*]}"
  logged "$log" as_root apt-get update || return 1

  # Debian's default Boost headers (1.74) and the 1.81 ones exclude each other. Whether the older ones are in use by
  # something else is not ours to decide, so this stops and says so instead of removing them.
  removed=$(apt-get install --simulate --no-install-recommends -y "${missing[@]}" 2>/dev/null |
    awk '$1 == "Remv" { print $2 }' | tr '\n' ' ')
  if [[ -n ${removed// /} && -z ${JOULEFARM_ALLOW_REMOVE:-} ]]; then
    say "    installing these would remove: $removed" >&2
    say "    (libboost1.81-dev cannot be installed beside libboost-dev 1.74, whose coroutines do not compile here)" >&2
    say "    If that is fine, say so with JOULEFARM_ALLOW_REMOVE=1." >&2
    return 1
  fi
  logged "$log" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}
