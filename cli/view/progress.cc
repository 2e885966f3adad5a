#include "cli/view/progress.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/output/text.h"
#include "cli/view/run_values.h"

namespace joulefarm::cli {
namespace {

constexpr int kMaxActive = 8;
constexpr int kBar = 24;

std::string Repeat(const char* text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::string Pad(const std::string& text, int width) {
  return text + std::string(static_cast<std::size_t>(std::max(0, width - DisplayWidth(text))), ' ');
}

// Terminal cells of a line, its colours left out.
int VisibleWidth(const std::string& line) {
  std::string plain;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = std::min(line.find('m', i), line.size() - 1);
    } else {
      plain += line[i];
    }
  }
  return DisplayWidth(plain);
}

}  // namespace

int Ended(const v1::GetProgressResponse& progress) {
  return progress.succeeded() + progress.failed() + progress.canceled();
}

std::string Bar(double part, int width, const Look& look) {
  const int full = std::clamp(static_cast<int>(part * width), 0, width);
  return Styled(Repeat("█", full), Style::kGood, look) +
         Styled(Repeat("░", width - full), Style::kDim, look);
}

std::string Counts(const v1::GetProgressResponse& progress) {
  std::vector<std::string> parts{absl::StrCat(Ended(progress), " of ", progress.jobs(), " done")};
  if (progress.failed() > 0) parts.push_back(absl::StrCat(progress.failed(), " failed"));
  if (progress.canceled() > 0) parts.push_back(absl::StrCat(progress.canceled(), " canceled"));
  if (progress.active() > 0) parts.push_back(absl::StrCat(progress.active(), " running"));
  if (progress.queued() > 0) parts.push_back(absl::StrCat(progress.queued(), " queued"));
  return absl::StrJoin(parts, ", ");
}

std::string Headline(const ProgressPicture& picture, const Look& look) {
  const int width = look.Columns();
  const std::string name = OneLine(picture.progress.name());
  const std::string scope =
      picture.scope.empty() ? absl::StrCat(picture.progress.jobs(), " jobs") : picture.scope;
  std::string right = Clock(picture.elapsed);
  if (picture.left) absl::StrAppend(&right, ", about ", Clock(*picture.left), " left");
  const int room = width - DisplayWidth(right) - 2;
  if (room < 8) return Clip(absl::StrCat(name, "  ", right), width);
  const std::string head = Clip(name, room);
  const int tail_room = room - DisplayWidth(head);
  const std::string tail = tail_room < 4 ? "" : Clip("  " + scope, tail_room);
  const std::string left_part = Pad(head + tail, room);
  return Styled(head, Style::kStrong, look) + left_part.substr(head.size()) + "  " +
         Styled(right, Style::kDim, look);
}

std::string Clock(std::chrono::nanoseconds elapsed) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
  if (seconds >= 3600) {
    return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  return absl::StrFormat("%02d:%02d", seconds / 60, seconds % 60);
}

void Estimator::Observe(std::chrono::nanoseconds elapsed, int ended, int total) {
  if (!ended_at_start_) {
    ended_at_start_ = ended;
    ended_ = ended;
  }
  total_ = total;
  if (ended == ended_) return;
  ended_ = ended;
  last_end_ = elapsed;
}

std::optional<std::chrono::nanoseconds> Estimator::Left(std::chrono::nanoseconds elapsed) const {
  if (!ended_at_start_ || ended_ <= *ended_at_start_ || ended_ >= total_) return std::nullopt;
  const auto per_job = last_end_ / (ended_ - *ended_at_start_);
  const auto left = per_job * (total_ - ended_) - (elapsed - last_end_);
  if (left < std::chrono::seconds(1)) return std::nullopt;
  return left;
}

std::vector<std::string> ProgressLines(const ProgressPicture& picture, const Look& look) {
  const v1::GetProgressResponse& progress = picture.progress;
  const int width = look.Columns();
  std::vector<std::string> lines{Headline(picture, look)};
  const std::string counts = Counts(progress);
  if (width >= kBar + 4 + DisplayWidth(counts)) {
    lines.push_back(absl::StrCat(
        "  ", Bar(static_cast<double>(Ended(progress)) / std::max(1, progress.jobs()), kBar, look),
        "  ", counts));
  } else {
    lines.push_back(Clip("  " + counts, width));
  }
  int device_width = 0;
  int cell_width = 0;
  const int shown = std::min(kMaxActive, progress.active_jobs_size());
  for (int i = 0; i < shown; ++i) {
    device_width =
        std::max(device_width, DisplayWidth(OneLine(progress.active_jobs(i).device_id())));
    cell_width =
        std::max(cell_width, DisplayWidth(OneLine(CellWords(progress.active_jobs(i).cell()))));
  }
  for (int i = 0; i < shown; ++i) {
    const v1::ActiveJob& job = progress.active_jobs(i);
    const std::string text = absl::StrCat("  ", Pad(OneLine(job.device_id()), device_width), "  ",
                                          Pad(OneLine(CellWords(job.cell())), cell_width), "  ",
                                          absl::AsciiStrToLower(OneLine(job.state())),
                                          job.detail().empty() ? "" : "  ", OneLine(job.detail()));
    lines.push_back(Clip(text, width));
  }
  const int more = std::max(progress.active(), progress.active_jobs_size()) - shown;
  if (more > 0 && shown > 0) lines.push_back(absl::StrCat("  and ", more, " more"));
  return lines;
}

std::string ProgressLine(const v1::GetProgressResponse& progress,
                         std::chrono::nanoseconds elapsed) {
  return absl::StrCat(Clock(elapsed), "  ", Counts(progress));
}

std::size_t LiveDisplay::Rows() const {
  std::size_t rows = 0;
  for (const int width : widths_)
    rows += width_ > 0 ? static_cast<std::size_t>(std::max(1, (width + width_ - 1) / width_)) : 1;
  return rows;
}

void LiveDisplay::Show(const std::vector<std::string>& lines, int width) {
  width_ = width;
  // One write per picture, each line erased and written at once: no flicker. Erased first, since a
  // line that fills the row leaves the cursor on its last cell.
  const std::size_t before = Rows();
  std::string text;
  if (before > 0) absl::StrAppend(&text, "\x1b[", before, "A");
  for (const std::string& line : lines) absl::StrAppend(&text, "\r\x1b[K", line, "\n");
  if (lines.size() < before) text += "\r\x1b[J";
  out_ << text << std::flush;
  widths_.clear();
  for (const std::string& line : lines) widths_.push_back(VisibleWidth(line));
}

void LiveDisplay::Clear() {
  if (widths_.empty()) return;
  out_ << "\x1b[" << Rows() << "A\r\x1b[J" << std::flush;
  widths_.clear();
}

}  // namespace joulefarm::cli
