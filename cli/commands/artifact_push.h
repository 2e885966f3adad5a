// Pushing a file: checked, hashed, and sent from where an earlier push was interrupted.
//
// Thread rule: one thread. Ownership: nothing kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"
#include "cli/console.h"
#include "common/gguf/gguf_reader.h"

namespace joulefarm::cli {

struct PushOptions {
  std::string file;
  std::string name;  // empty: the file's stem
};

struct PushOutcome {
  v1::PushArtifactResponse response;
  std::optional<GgufInfo> model;   // what a model says of itself
  std::int64_t resumed_bytes = 0;  // what was there of an interrupted push
};

// INVALID_ARGUMENT for a file that cannot be read or is not what it claims, before anything is
// sent. A controller that goes away is tried again for half a minute. Otherwise the controller's
// errors.
absl::StatusOr<PushOutcome> PushFile(Console& console, FarmClient& client,
                                     const PushOptions& options);

// "llama · Q8_0 · 22.3 M parameters · context 2048".
std::string ModelWords(const GgufInfo& model);

}  // namespace joulefarm::cli
