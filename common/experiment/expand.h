// From an experiment file to the cells it stands for: defaults applied, names resolved, everything
// checked. The same file and the same artifacts give the same cells in the same order and the same
// hash, whatever its comments, blanks and name.
//
// Errors are texts for the operator, ten lines at most, each "file:line:column: what; what to do":
// InvalidArgument, or NotFound when nothing is wrong but names of artifacts that do not exist.
//
// Threads: pure functions. Ownership: values; the catalogue is used during the call only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/config/source_map.h"
#include "common/experiment/catalogue.h"
#include "common/experiment/selector.h"
#include "joulefarm/config/v1/experiment.pb.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

struct Cell {
  std::string text;      // "model=tiny-q8_0,threads=1", never empty, unique in the experiment
  std::string workload;  // its name
  v1::JobSpec spec;      // `experiment` and `block` are left for who makes jobs
};

struct Expansion {
  std::string name;
  std::string tenant;
  std::int64_t seed = 42;
  int blocks = 1;
  int priority = 2;  // 0 urgent, 1 high, 2 normal, 3 low, 4 background
  int retries = 2;
  std::int64_t lost_after_ns = 0;
  std::string selector_text;  // as written; empty matches every device
  Selector selector;
  std::optional<int> count;            // of distinct devices; nullopt: all that match
  config::v1::PowerRequirement power;  // with defaults filled in
  config::v1::Gates gates;             // only what was set
  std::vector<Cell> cells;
  std::string sha256;  // of all the above, lower-case hex; also in every spec
  // What is accepted and has no effect, as "file:line:column: …" lines to show the operator.
  std::vector<std::string> warnings;
};

absl::StatusOr<Expansion> Expand(const config::v1::Experiment& experiment, const SourceMap& source,
                                 const Catalogue& catalogue);

// Parses and expands. `set` holds "key.key=value" assignments that change the file first.
absl::StatusOr<Expansion> ExpandYaml(absl::string_view text, absl::string_view file_name,
                                     const std::vector<std::string>& set,
                                     const Catalogue& catalogue);

}  // namespace joulefarm
