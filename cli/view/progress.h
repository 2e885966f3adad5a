// How far an experiment is, as lines: a live picture for terminals, single lines for logs.
//
// Thread rule: pure, but LiveDisplay, which belongs to one thread. Ownership: the display's stream
// outlives it.
#pragma once

#include <chrono>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/output/text_table.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::cli {

// "00:41", "1:02:03".
std::string Clock(std::chrono::nanoseconds elapsed);

// Guesses the time left from the jobs that ended while we watched; knows nothing before the first.
class Estimator {
 public:
  void Observe(std::chrono::nanoseconds elapsed, int ended, int total);
  // Absent when nothing ended yet, or when the guess has run out.
  std::optional<std::chrono::nanoseconds> Left(std::chrono::nanoseconds elapsed) const;

 private:
  std::optional<int> ended_at_start_;
  int ended_ = 0;
  int total_ = 0;
  std::chrono::nanoseconds last_end_{0};
};

// What a picture of the progress is made of.
struct ProgressPicture {
  const v1::GetProgressResponse& progress;
  std::string scope;  // "3 cells × 1 device × 1 block, 9 runs"; empty when not known
  std::chrono::nanoseconds elapsed{0};
  std::optional<std::chrono::nanoseconds> left;
};

// "quant-sweep  3 cells × 1 device, 9 runs        00:41, about 00:25 left", as wide as the look.
std::string Headline(const ProgressPicture& picture, const Look& look);
// "1 of 3 done, 1 running, 1 queued".
std::string Counts(const v1::GetProgressResponse& progress);

// Jobs that are over, however they ended.
int Ended(const v1::GetProgressResponse& progress);
// A bar of `width` cells for a part of a whole.
std::string Bar(double part, int width, const Look& look);

// The live picture, each line clipped to the look's width.
std::vector<std::string> ProgressLines(const ProgressPicture& picture, const Look& look);

// "00:12  1 of 3 done, 1 running, 1 queued".
std::string ProgressLine(const v1::GetProgressResponse& progress, std::chrono::nanoseconds elapsed);

// Redraws lines in place on a terminal.
class LiveDisplay {
 public:
  explicit LiveDisplay(std::ostream& out) : out_(out) {}
  ~LiveDisplay() { Clear(); }
  LiveDisplay(const LiveDisplay&) = delete;
  LiveDisplay& operator=(const LiveDisplay&) = delete;

  // `width` of the terminal now; 0: not known.
  void Show(const std::vector<std::string>& lines, int width);
  // Takes the lines away.
  void Clear();
  // Lets them stand.
  void Leave() { widths_.clear(); }

 private:
  // Rows the lines shown take: a terminal that became narrower has folded them.
  std::size_t Rows() const;

  std::ostream& out_;
  std::vector<int> widths_;  // of the lines shown
  int width_ = 0;
};

}  // namespace joulefarm::cli
