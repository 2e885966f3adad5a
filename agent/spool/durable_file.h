// Small files that are whole and on disk, or as they were before.
//
// Thread rule: one writer per file. Ownership: none.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace joulefarm::agent {

// Replaces the file; durable when it returns OK.
absl::Status WriteDurably(const std::filesystem::path& path, absl::string_view text);
// OK also where there is none.
absl::Status RemoveDurably(const std::filesystem::path& path);

}  // namespace joulefarm::agent
