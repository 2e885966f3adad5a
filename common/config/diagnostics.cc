#include "common/config/diagnostics.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace joulefarm {
namespace {

constexpr size_t kShown = 10;
// More are only counted; a hostile file has as many errors as bytes.
constexpr size_t kKept = 1000;

}  // namespace

void Diagnostics::Add(const SourcePosition& position, absl::string_view message) {
  ++count_;
  if (!full()) entries_.push_back({position, std::string(message)});
}

bool Diagnostics::full() const { return entries_.size() >= kKept; }

std::string Diagnostics::Where(const SourcePosition& position) const {
  if (!position.argument.empty()) return position.argument;
  return absl::StrCat(file_name_, ":", position.line, ":", position.column);
}

absl::Status Diagnostics::ToStatus() const {
  if (empty()) return absl::OkStatus();
  std::vector<const Entry*> sorted;
  for (const Entry& entry : entries_) sorted.push_back(&entry);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Entry* a, const Entry* b) {
    return std::tie(a->position.argument, a->position.line, a->position.column) <
           std::tie(b->position.argument, b->position.line, b->position.column);
  });
  std::string text;
  const size_t shown = std::min(kShown, sorted.size());
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : "\n", Where(sorted[i]->position), ": ",
                    sorted[i]->message);
  }
  if (count_ > shown) {
    absl::StrAppend(&text, "\n", file_name_, ": and ", count_ - shown, " more errors");
  }
  return absl::InvalidArgumentError(text);
}

}  // namespace joulefarm
