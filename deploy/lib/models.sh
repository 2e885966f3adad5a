# shellcheck shell=bash disable=SC2034,SC2154
# Generates the model and quantises it. Sourced after common.sh, build.sh and engine.sh.

models_dir=''

# model_quantise ENGINE_DIR SOURCE TARGET TYPE: TARGET appears whole or not at all.
model_quantise() {
  local part=$3.part rc=0
  "$1/llama-quantize" "$2" "$part" "$4" </dev/null || rc=$?
  ((rc == 0)) || {
    rm -f -- "$part"
    return "$rc"
  }
  mv -f -- "$part" "$3"
}

# models_make MAKE_MODEL DIR: makes what DIR does not have yet.
models_make() {
  local make_model=$1 dir=$2 type name made_by
  # The generator's source, not its binary: every preset builds another binary, and all write the same bytes.
  made_by="$(in_repo cat deploy/make_model.cc common/gguf/gguf_writer.cc | sha256sum | cut -c1-16) $engine_version"
  if [[ ! -f $dir/.made-by || $(<"$dir/.made-by") != "$made_by" ]]; then
    rm -f -- "$dir"/tiny-*.gguf
    printf '%s\n' "$made_by" >"$dir/.made-by"
  fi
  if [[ ! -f $dir/tiny-f16.gguf ]]; then
    logged "$build_root/logs/make-model.log" "$make_model" "$dir/tiny-f16.gguf" || return 1
  fi
  for type in Q8_0 Q4_K_M; do
    name=tiny-${type,,}.gguf
    [[ -f $dir/$name ]] && continue
    logged "$build_root/logs/quantise-${type,,}.log" \
      model_quantise "$engine_dir" "$dir/tiny-f16.gguf" "$dir/$name" "$type" || return 1
  done
}

# models_bring MAKE_MODEL: makes sure build/models has tiny-f16.gguf, tiny-q8_0.gguf and tiny-q4_k_m.gguf, and sets
# models_dir. What is there already, made by the same generator and the same engine, stays.
models_bring() {
  local dir=$build_root/models name lock rc=0
  mkdir -p -- "$dir"
  exec {lock}>"$dir/.lock"
  flock "$lock"
  models_make "$1" "$dir" || rc=$?
  exec {lock}>&-
  ((rc == 0)) || return "$rc"
  models_dir=$dir
  for name in "$dir"/tiny-*.gguf; do
    note "$(printf '%-18s %5d MB' "${name##*/}" "$(($(stat -c %s -- "$name") / 1000000))")"
  done
}
