#include "controller/artifacts/collection.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace joulefarm::controller {

namespace {

constexpr std::int64_t kHourNs = 3'600'000'000'000;

}  // namespace

std::vector<StoredContent> Collectable(const std::vector<StoredContent>& contents,
                                       const ArtifactUse& use, std::int64_t keep_ns,
                                       std::int64_t now_wall_ns) {
  std::set<std::string> needed(use.of_unfinished_jobs.begin(), use.of_unfinished_jobs.end());
  std::map<std::string, std::int64_t> pushed;
  for (const ArtifactUse::Row& row : use.rows) {
    if (row.current) needed.insert(row.sha256);
    std::int64_t& latest = pushed[row.sha256];
    latest = std::max(latest, row.pushed_wall_ns);
  }
  std::vector<StoredContent> out;
  for (const StoredContent& content : contents) {
    std::int64_t since = content.changed_wall_ns;
    std::int64_t keep = keep_ns;
    if (content.kind == StoredContent::Kind::kComplete) {
      if (needed.count(content.sha256) != 0) continue;
      const auto it = pushed.find(content.sha256);
      if (it != pushed.end()) since = it->second;
    } else if (content.kind == StoredContent::Kind::kPartial) {
      keep = std::max(keep, kHourNs);
    }
    if (now_wall_ns - since >= keep) out.push_back(content);
  }
  return out;
}

}  // namespace joulefarm::controller
