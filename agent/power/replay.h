// A recorded trace of power, given out again on the clock it was recorded with. Only where it is
// configured, and labelled REPLAYED wherever it is shown.
//
// Threads: see PowerSource. Ownership: none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/power/power_source.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

inline constexpr char kReplayChannel[] = "replay";

struct ReplaySettings {
  // CSV with a head that names its columns, or a JSON object per line: t_s (or t_ns) and power_w;
  // other columns are passed over. So is what `meters decode` prints. Lines without a power (gaps)
  // are left out.
  std::filesystem::path file;
  // From the beginning again, one mean interval after the end; else silent from there.
  bool loop = true;
};

// Channel "replay": W (scale 1e-6), scope DEVICE. The first point has the stamp of Start, the
// others follow as they did. What lies more than ten seconds back when it is polled is lost.
class ReplayPower : public PowerSource {
 public:
  using Clock = std::function<std::int64_t()>;

  // Reads the file: an error says the line. INVALID_ARGUMENT: stamps that do not rise, fewer than
  // two points, no numbers.
  static absl::StatusOr<std::unique_ptr<ReplayPower>> Open(const ReplaySettings& settings,
                                                           Clock now = BoottimeNs);

  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  absl::Status Start() override;
  bool buffered() const override { return true; }
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override;

  // A point of the recording, since its first.
  struct Point {
    std::int64_t t_ns = 0;
    std::int64_t raw = 0;
  };

 private:
  ReplayPower(const ReplaySettings& settings, std::vector<Point> points, Clock now);

  const ReplaySettings settings_;
  const Clock now_;
  const std::vector<Point> points_;
  std::int64_t interval_ns_ = 0;  // mean
  std::vector<v1::ChannelInfo> channels_;
  std::int64_t lap_ns_ = 0;  // when the recording began this time
  std::size_t next_ = 0;
};

}  // namespace joulefarm::agent
