#include "common/config/source_map.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace joulefarm {

void SourceMap::Add(std::string path, const SourcePosition& key, const SourcePosition& value) {
  places_.insert_or_assign(std::move(path), Place{key, value});
}

bool SourceMap::Has(absl::string_view path) const {
  return places_.find(std::string(path)) != places_.end();
}

const SourceMap::Place* SourceMap::Nearest(absl::string_view path) const {
  for (;;) {
    const auto it = places_.find(std::string(path));
    if (it != places_.end()) return &it->second;
    if (path.empty()) return nullptr;
    const size_t cut = path.find_last_of(".[");
    path = cut == absl::string_view::npos ? absl::string_view() : path.substr(0, cut);
  }
}

SourcePosition SourceMap::Key(absl::string_view path) const {
  const Place* place = Nearest(path);
  return place == nullptr ? SourcePosition() : place->key;
}

SourcePosition SourceMap::Value(absl::string_view path) const {
  const Place* place = Nearest(path);
  if (place == nullptr) return SourcePosition();
  // What was not written is missed at the key that should hold it, not somewhere inside.
  return Has(path) ? place->value : place->key;
}

std::string JoinPath(absl::string_view path, absl::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

std::string JoinPath(absl::string_view path, size_t index) {
  return absl::StrCat(path, "[", index, "]");
}

}  // namespace joulefarm
