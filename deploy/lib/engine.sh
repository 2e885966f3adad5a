# shellcheck shell=bash disable=SC2034,SC2154
# Brings a llama.cpp runtime and sets engine_dir (a folder that directly contains llama-server, llama-bench and
# llama-quantize) and engine_version. Sourced after common.sh and packages.sh.
#
# In this order: $JOULEFARM_ENGINE_DIR; an engine on PATH; build/engine, where Debian's own build of llama.cpp is
# extracted once (nothing is installed on the system) and used again by later runs without network.

engine_dir=''
engine_version=''
readonly engine_programs=(llama-server llama-bench llama-quantize)
readonly engine_package=llama.cpp-tools
readonly engine_suite=sid

# engine_complete DIR: every program is there and can be executed.
engine_complete() {
  local program
  for program in "${engine_programs[@]}"; do
    [[ -x $1/$program ]] || return 1
  done
}

# engine_reports DIR: what llama-server says its version is, on one line.
engine_reports() {
  local out
  out=$("$1/llama-server" --version 2>&1 </dev/null) || return 1
  grep -m1 '^version:' <<<"$out" || head -n1 <<<"$out"
}

# Uses DIR when it is complete and its server can be run.
engine_take() {
  local dir reported
  dir=$(cd -- "$1" 2>/dev/null && pwd -P) || return 1
  engine_complete "$dir" || return 1
  reported=$(engine_reports "$dir") || return 1
  engine_dir=$dir
  engine_version=$reported
  if [[ -f $dir/../VERSION ]]; then engine_version=$(<"$dir/../VERSION"); fi
}

# The Debian mirror this system's apt uses, or nothing, which leaves the choice to mmdebstrap.
engine_mirror() {
  # shellcheck disable=SC2016  # $(…) is apt's own syntax here
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }' || true
}

# engine_lay_launchers BIN: puts the launchers into BIN where they differ from this source tree's.
engine_lay_launchers() {
  local launcher=$repo_root/deploy/lib/engine-launcher.sh program
  for program in "${engine_programs[@]}"; do
    cmp -s -- "$launcher" "$1/$program" && continue
    install -m 755 -- "$launcher" "$1/.$program.new" && mv -f -- "$1/.$program.new" "$1/$program" || return 1
  done
}

# engine_extract DIR: extracts the package and what it needs into DIR/root and lays the launchers beside it.
engine_extract() {
  local dir=$1 mirror proxy proxy_option
  local args=(--variant=extract "--include=$engine_package"
    # The lists of a suite that only moves forward may be served by a mirror that is some days behind.
    '--aptopt=Acquire::Check-Valid-Until "false"')
  for proxy_option in Acquire::http::Proxy Acquire::https::Proxy; do
    proxy=''
    eval "$(apt-config shell proxy "$proxy_option")"
    if [[ -n $proxy ]]; then args+=("--aptopt=$proxy_option \"$proxy\""); fi
  done
  args+=("$engine_suite" "$dir/root")
  mirror=$(engine_mirror)
  if [[ -n $mirror ]]; then args+=("$mirror"); fi

  mkdir -p -- "$dir/bin"
  as_root mmdebstrap "${args[@]}" || return 1
  if ((EUID != 0)); then as_root chown -R "$(id -u):$(id -g)" "$dir/root" || return 1; fi
  engine_lay_launchers "$dir/bin" || return 1

  local package_version reported
  package_version=$(dpkg-query --admindir="$dir/root/var/lib/dpkg" -W -f='${Version}' "$engine_package" 2>/dev/null) ||
    package_version=$(engine_changelog_version "$dir/root") || return 1
  reported=$(engine_reports "$dir/bin") || return 1
  printf '%s %s (Debian %s, %s); %s\n' "$engine_package" "$package_version" "$engine_suite" \
    "$(dpkg --print-architecture)" "$reported" >"$dir/VERSION"
}

# The extract variant configures nothing, so dpkg's own database may not name the package; its changelog does.
engine_changelog_version() {
  zcat -- "$1/usr/share/doc/$engine_package/changelog.Debian.gz" | sed -n '1s/.*(\(.*\)).*/\1/p' | grep .
}

# Extracts into a folder of its own and renames it into place, so that a half-made engine is never used.
engine_fetch() {
  local target=$build_root/engine fresh rc=0
  fresh=$(mktemp -d -- "$build_root/engine.new.XXXXXX") || return 1
  chmod 755 -- "$fresh"
  engine_extract "$fresh" || rc=$?
  if ((rc == 0)); then
    rm -rf -- "$target" && mv -T -- "$fresh" "$target"
  else
    rm -rf -- "$fresh"
    return "$rc"
  fi
}

# engine_bring: sets engine_dir and engine_version, or returns 1 after saying why.
engine_bring() {
  local target=$build_root/engine log=$build_root/logs/engine.log lock dir

  if [[ -n ${JOULEFARM_ENGINE_DIR:-} ]]; then
    if engine_take "$JOULEFARM_ENGINE_DIR"; then
      note "from \$JOULEFARM_ENGINE_DIR: $engine_dir"
      note "$engine_version"
      return 0
    fi
    say "    \$JOULEFARM_ENGINE_DIR is $JOULEFARM_ENGINE_DIR, which has no working ${engine_programs[*]}" >&2
    return 1
  fi

  if dir=$(command -v llama-server); then
    dir=$(dirname -- "$dir")
    if engine_take "$dir"; then
      note "from PATH: $engine_dir"
      note "$engine_version"
      return 0
    fi
    note "$dir/llama-server is on PATH, but not all of ${engine_programs[*]} work beside it; not used"
  fi

  mkdir -p -- "$build_root"
  exec {lock}>"$build_root/engine.lock"
  flock "$lock"
  if [[ -f $target/VERSION ]] && engine_lay_launchers "$target/bin" && engine_take "$target/bin" 2>/dev/null; then
    note "already in build/engine"
  else
    packages_ensure mmdebstrap || {
      exec {lock}>&-
      return 1
    }
    note "extracting Debian's $engine_package ($engine_suite) into build/engine; about 80 MB, nothing is installed"
    if ! logged "$log" engine_fetch || ! engine_take "$target/bin"; then
      exec {lock}>&-
      say "    llama.cpp could not be brought. With a llama.cpp of your own: JOULEFARM_ENGINE_DIR=/its/bin ${0##*/}" >&2
      return 1
    fi
  fi
  exec {lock}>&-
  note "$engine_version"
}
