// A power source of values that are read on demand, such as files of sysfs, and of sums of them.
//
// Threads: see PowerSource; channels and sums are added before it is handed over. Ownership: owns
// what its readers have captured.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/power/power_source.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {

// What reading a counter, or all that a sum of counters needs, may take. A reading that took longer
// (the thread was not running) could show the counter of any instant in between: it is made once
// more, and then lost. The channel's refresh_ns has to include it.
struct PolledLimits {
  std::int64_t read_ns = 1'000'000;
  std::int64_t sum_ns = 2'000'000;
};

class PolledPower : public PowerSource {
 public:
  using Reader = std::function<absl::StatusOr<std::int64_t>()>;

  using Clock = std::function<std::int64_t()>;

  static constexpr std::int64_t kLongestReadNs = PolledLimits{}.read_ns;
  static constexpr std::int64_t kLongestSumNs = PolledLimits{}.sum_ns;

  // `title` names the source in messages.
  explicit PolledPower(std::string title, Clock now = BoottimeNs, const PolledLimits& limits = {})
      : title_(std::move(title)), now_(std::move(now)), limits_(limits) {}

  // The channel's index.
  int Add(v1::ChannelInfo channel, Reader reader);
  // A channel of the sum of others, in their unit and scale; parts are read one right after the
  // other. Where one of them has no value, the sum has none. Counters are summed from the first
  // reading on, their wraps undone; the sum has no reading where one may have passed half its range
  // since its last, at the highest rate seen.
  int AddSum(v1::ChannelInfo channel, std::vector<int> parts);
  void SetParent(int channel, const std::string& parent) {
    channels_[static_cast<std::size_t>(channel)].set_parent(parent);
  }
  void AddOffset(int channel, double offset_u) {
    channels_[static_cast<std::size_t>(channel)].set_offset_u(offset_u);
  }

  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }
  // An error where none of the channels can be read.
  absl::Status Start() override;
  // An error tells of the first channel that could not be read; the others are there all the same.
  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override;

 private:
  struct Input {
    int channel = 0;
    Reader read;
    // Of the poll under way.
    std::int64_t begun_ns = 0;
    std::int64_t t_ns = 0;
    std::optional<std::int64_t> raw;
    bool doubtful = false;  // a counter that may have wrapped unseen
    // Of counters: the last reading, and all rises since the first.
    std::optional<std::int64_t> last;
    std::int64_t last_ns = 0;
    std::int64_t risen = 0;
    double highest_per_ns = 0;
  };
  struct Sum {
    int channel = 0;
    std::vector<std::size_t> inputs;
  };
  bool IsCounter(int channel) const {
    return channels_[static_cast<std::size_t>(channel)].quantity() == v1::QUANTITY_ENERGY_COUNTER_J;
  }
  // What went wrong; DEADLINE_EXCEEDED: it took too long, twice.
  absl::Status Read(Input& input) const;
  void CountOn(Input& input) const;
  // False: the sum has lost a reading.
  bool AddUp(const Sum& sum, std::vector<PowerReading>& readings) const;

  const std::string title_;
  const Clock now_;
  const PolledLimits limits_;
  std::vector<v1::ChannelInfo> channels_;
  std::vector<Input> inputs_;
  std::vector<Sum> sums_;
};

}  // namespace joulefarm::agent
