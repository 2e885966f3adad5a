#!/bin/sh
# Starts the llama.cpp program this file is named after (llama-server, llama-bench, llama-quantize) out of the
# extracted Debian tree beside it (../root), with that tree's own loader and C library, so that nothing has to be
# installed on the system. It execs: pid, signals and exit status are the program's own.
# deploy/lib/engine.sh copies this file to build/engine/bin/<program>. No process is forked here, so that a load
# time measured through it is the engine's.
set -eu

self=$0
if [ -L "$self" ]; then self=$(readlink -f "$self"); fi
case $self in */*) bin=${self%/*} ;; *) bin=. ;; esac
program=${self##*/}
root=$bin/../root

for lib in "$root"/usr/lib/*-linux-gnu; do
  if [ -d "$lib/llama" ]; then break; fi
done
for loader in "$lib"/ld-linux-*.so.*; do
  if [ -x "$loader" ]; then break; fi
done
if [ ! -x "$loader" ] || [ ! -x "$root/usr/bin/$program" ]; then
  echo "$program: no runtime in $root; run deploy/demo or deploy/test to bring it" >&2
  exit 127
fi

# True when every flag named is among the CPU's.
has() {
  for flag in "$@"; do
    case $cpu_flags in *" $flag "*) ;; *) return 1 ;; esac
  done
}

# Takes a variant of the CPU backend (best first) when the CPU has what it needs and the file exists.
try() {
  if [ -n "${backend:-}" ]; then return; fi
  candidate=$lib/ggml/backends0/libggml-cpu-$1.so
  shift
  if [ -f "$candidate" ] && has "$@"; then backend=$candidate; fi
}

if [ -z "${GGML_BACKEND_PATH:-}" ]; then
  cpu_flags=" "
  while IFS= read -r line; do
    case $line in
      flags* | Features*)
        cpu_flags=" ${line#*: } "
        break
        ;;
    esac
  done </proc/cpuinfo
  backend=
  avx2="sse4_2 avx f16c fma bmi2 avx2"
  avx512="$avx2 avx512f avx512cd avx512vl avx512dq avx512bw"
  # The needs are those ggml's own build gives each variant. The lists are split into words on purpose.
  # shellcheck disable=SC2086
  case $lib in
    *x86_64*)
      try sapphirerapids $avx512 avx512vbmi avx512_vnni avx512_bf16 amx_tile amx_int8
      try zen4 $avx512 avx512vbmi avx512_vnni avx512_bf16
      try cooperlake $avx512 avx512_vnni avx512_bf16
      try icelake $avx512 avx512vbmi avx512_vnni
      try cascadelake $avx512 avx512_vnni
      try cannonlake $avx512 avx512vbmi
      try skylakex $avx512
      try alderlake $avx2 avx_vnni
      try haswell $avx2
      try piledriver sse4_2 avx f16c fma
      try ivybridge sse4_2 avx f16c
      try sandybridge sse4_2 avx
      try sse42 sse4_2
      try x64
      ;;
    *aarch64*)
      try armv9.2_2 asimddp asimdhp sve i8mm sve2 sme
      try armv9.2_1 asimddp asimdhp sve i8mm sme
      try armv8.6_2 asimddp asimdhp sve i8mm sve2
      try armv8.6_1 asimddp asimdhp sve i8mm
      try armv8.2_3 asimddp asimdhp sve
      try armv8.2_2 asimddp asimdhp
      try armv8.2_1 asimddp
      try armv8.0_1
      ;;
  esac
  if [ -z "$backend" ]; then
    echo "$program: no CPU backend in $lib/ggml/backends0 suits this CPU" >&2
    exit 126
  fi
  export GGML_BACKEND_PATH="$backend"
fi

exec "$loader" --library-path "$lib:$lib/llama" --argv0 "$program" "$root/usr/bin/$program" "$@"
