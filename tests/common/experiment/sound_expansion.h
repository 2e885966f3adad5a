// What every experiment that is accepted keeps, and one that has a bit of everything.
//
// Threads: any. Ownership: values.
#pragma once

#include <set>
#include <string>

#include "common/experiment/expand.h"
#include "common/sha256/sha256.h"

namespace joulefarm {

inline constexpr char kSmallExperiment[] = R"(name: fuzz
workloads:
  chat: {kind: generate, prompts: [{set: mixed}, {artifact: two-prompts}], options: {ctx: 16}}
  run: {kind: command, command: [prog, "{threads}", "{model.path}"]}
matrix:
  workload: [chat, run]
  model: [tiny-f16, tiny-q8_0]
  threads: [1, 2]
exclude: [{model: tiny-f16, threads: 1}, {workload: run, threads: 2}]
devices: {selector: "os=linux,ram_mib>=1024", count: 2}
power: {require: none}
)";

// What is wrong with an accepted experiment; empty: nothing.
inline std::string UnsoundIn(const Expansion& e) {
  if (e.name.empty()) return "no name";
  if (e.cells.empty()) return "no cell";
  if (!IsSha256Hex(e.sha256)) return "no hash";
  std::set<std::string> texts;
  for (const Cell& cell : e.cells) {
    if (cell.text.empty()) return "a cell without a text";
    if (!texts.insert(cell.text).second) return "two cells " + cell.text;
    if (cell.spec.cell() != cell.text) return "the spec of another cell than " + cell.text;
    if (cell.spec.repetitions() < 1) return "nothing to do in " + cell.text;
    if (cell.spec.kind_case() == v1::JobSpec::KIND_NOT_SET) return "no kind in " + cell.text;
    if (cell.spec.has_generate() &&
        (!cell.spec.has_model() || cell.spec.generate().prompts_size() < 1 ||
         cell.spec.generate().max_tokens() < 1)) {
      return "nothing to generate in " + cell.text;
    }
    if (cell.spec.has_command() &&
        (cell.spec.command().argv().empty() || cell.spec.command().argv(0).empty())) {
      return "no command in " + cell.text;
    }
    std::string bytes;
    if (!cell.spec.SerializeToString(&bytes) || !v1::JobSpec().ParseFromString(bytes)) {
      return "what cannot be sent in " + cell.text;
    }
  }
  return "";
}

}  // namespace joulefarm
