#include "cli/wait_reason.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

constexpr auto kLookEvery = std::chrono::seconds(5);
// Of many jobs watched by their ids only the first are asked after.
constexpr std::size_t kMostJobs = 8;

}  // namespace

WaitReason::WaitReason(FarmClient& client, std::vector<std::string> jobs)
    : client_(client), jobs_(std::move(jobs)) {}

void WaitReason::Refresh(const v1::GetProgressResponse& progress,
                         std::chrono::steady_clock::time_point now) {
  if (progress.active() > 0 || progress.queued() == 0) {
    line_.clear();
    looked_.reset();
    return;
  }
  if (looked_ && now - *looked_ < kLookEvery) return;
  looked_ = now;
  v1::ListRequest request;
  request.set_listing(v1::LISTING_JOBS);
  (*request.mutable_filters())["state"] = "QUEUED";
  request.set_limit(1);
  if (jobs_.empty()) {
    (*request.mutable_filters())["experiment"] = progress.experiment();
    Take(request);
    return;
  }
  for (std::size_t i = 0; i < std::min(jobs_.size(), kMostJobs); ++i) {
    request.set_id(jobs_[i]);
    if (Take(request)) return;
  }
}

bool WaitReason::Take(const v1::ListRequest& request) {
  TableCollector collector;
  if (!client_.List(request, collector).ok()) return false;
  const Table& table = collector.table();
  line_.clear();
  if (table.rows.empty()) return false;
  const RowValues& row = table.rows.front();
  const std::string reason = TextAt(table, row, "reason").value_or("");
  if (reason.empty()) return false;
  line_ = absl::StrCat(OneLine(TextAt(table, row, "id").value_or("")),
                       " waits: ", OneLine(reason.substr(0, reason.find('\n'))));
  return true;
}

}  // namespace joulefarm::cli
