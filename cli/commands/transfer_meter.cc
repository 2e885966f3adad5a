#include "cli/commands/transfer_meter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

constexpr auto kMeterRedraw = std::chrono::milliseconds(100);
// Before that a rate says little.
constexpr auto kRateAfter = std::chrono::milliseconds(500);
constexpr std::int64_t kBarCells = 24;

std::string Bar(std::int64_t bytes, std::int64_t total, const Look& look) {
  const std::int64_t full = std::clamp<std::int64_t>(bytes * kBarCells / total, 0, kBarCells);
  std::string done;
  std::string rest;
  for (std::int64_t i = 0; i < kBarCells; ++i) (i < full ? done : rest) += i < full ? "█" : "░";
  return Styled(done, Style::kGood, look) + Styled(rest, Style::kDim, look);
}

}  // namespace

TransferMeter::TransferMeter(Console& console, std::string verb, std::int64_t total,
                             std::int64_t start)
    : console_(console),
      verb_(std::move(verb)),
      total_(total),
      start_(start),
      begun_(console.now()),
      display_(console.err) {}

void TransferMeter::At(std::int64_t bytes) {
  if (!console_.err_is_terminal || total_ <= 0) return;
  const auto now = console_.now();
  if (now - drawn_ < kMeterRedraw) return;
  drawn_ = now;
  const Look look = console_.LookOfErr();
  const int width = look.Columns();
  std::string text = absl::StrCat("  ", bytes * 100 / total_, " %  ", HumanBytes(bytes), " of ",
                                  HumanBytes(total_));
  const std::chrono::duration<double> elapsed = now - begun_;
  if (elapsed >= kRateAfter && bytes > start_) {
    const double rate = static_cast<double>(bytes - start_) / elapsed.count();
    const std::chrono::duration<double> left(static_cast<double>(total_ - bytes) / rate);
    absl::StrAppend(&text, "  ", HumanBytes(static_cast<std::int64_t>(rate)), "/s  ",
                    Clock(std::chrono::duration_cast<std::chrono::nanoseconds>(left)), " left");
  }
  const std::string line = absl::StrCat(verb_, text);
  if (DisplayWidth(line) + 2 + static_cast<int>(kBarCells) <= width) {
    display_.Show({absl::StrCat(verb_, "  ", Bar(bytes, total_, look), text)}, console_.width());
  } else {
    display_.Show({Clip(line, width)}, console_.width());
  }
}

}  // namespace joulefarm::cli
