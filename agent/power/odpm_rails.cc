#include "agent/power/odpm_rails.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "agent/host/sysfs.h"
#include "agent/power/meter/odpm.h"
#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

namespace fs = std::filesystem;

constexpr double kMicro = 1e-6;
// Android's own reader asks no more often.
constexpr double kHz = 10;
// The registers follow every eighth conversion; the stamp is cut to a millisecond.
constexpr double kConversions = 8;
constexpr std::int64_t kStampNs = 1'000'000;
// The slowest conversions there are, where the driver does not say.
constexpr double kSlowestHz = 7.8125;
// A stamp that is further from now is on another clock.
constexpr std::int64_t kOldestNs = 2'000'000'000;
constexpr char kRailEnd[] = "_j";

// "S10M_VDD_TPU" and its counter.
struct Counter {
  std::string rail;
  std::int64_t microjoules = 0;
};

struct Reading {
  std::int64_t t_ns = 0;
  std::vector<Counter> counters;
};

absl::StatusOr<Reading> ReadCounters(const fs::path& file) {
  const absl::StatusOr<std::string> text = ReadSysfsText(file);
  if (!text.ok()) return text.status();
  const std::unique_ptr<MeterDecoder> decoder = OdpmModel().make_decoder();
  absl::StatusOr<std::vector<MeterSample>> samples =
      decoder->Decode(Bytes(reinterpret_cast<const std::uint8_t*>(text->data()), text->size()));
  std::vector<MeterSample> rest;
  if (samples.ok()) {
    absl::StatusOr<std::vector<MeterSample>> last = decoder->Finish();
    if (!last.ok()) samples = last.status();
    if (last.ok()) rest = *std::move(last);
  }
  if (!samples.ok())
    return absl::DataLossError(absl::StrCat(file.string(), ": ", samples.status().message()));
  std::move(rest.begin(), rest.end(), std::back_inserter(*samples));
  if (samples->size() != 1 || !samples->front().t_ns) {
    return absl::DataLossError(
        absl::StrCat(file.string(), " has ", samples->size(),
                     " readings with a time, not one; the monitor may be off"));
  }
  Reading reading;
  // Cut to a millisecond, so its counters are of no later than this.
  reading.t_ns = *samples->front().t_ns + kStampNs;
  for (const auto& [name, joules] : samples->front().more) {
    reading.counters.push_back(
        {std::string(absl::StripSuffix(name, kRailEnd)), std::llround(joules / kMicro)});
  }
  return reading;
}

std::int64_t RefreshNs(const fs::path& dir) {
  const absl::StatusOr<std::string> text = ReadSysfsText(dir / "sampling_rate");
  double hz = 0;
  if (!text.ok() || !absl::SimpleAtod(*text, &hz) || !(hz >= kSlowestHz)) hz = kSlowestHz;
  return static_cast<std::int64_t>(kConversions * 1e9 / hz) + kStampNs;
}

class OdpmPower : public PowerSource {
 public:
  OdpmPower(fs::path file, bool live) : file_(std::move(file)), live_(live) {}

  void Add(const std::string& rail, v1::ChannelInfo channel) {
    rails_.push_back(rail);
    channels_.push_back(std::move(channel));
  }

  const std::vector<v1::ChannelInfo>& channels() const override { return channels_; }

  absl::Status Start() override {
    std::vector<PowerReading> readings;
    std::int64_t lost = 0;
    absl::Status polled = Poll(readings, lost);
    // Whoever polls next has not seen it.
    last_ns_.reset();
    return polled;
  }

  absl::Status Poll(std::vector<PowerReading>& readings, std::int64_t& lost) override {
    const absl::StatusOr<Reading> read = ReadCounters(file_);
    absl::Status usable = read.status();
    if (read.ok() && live_) usable = CheckClock(read->t_ns);
    if (!usable.ok()) {
      ++lost;
      return usable;
    }
    // The same refresh once more says nothing new.
    if (last_ns_ && read->t_ns <= *last_ns_) return Stuck(read->t_ns, lost);
    last_ns_ = read->t_ns;
    for (const Counter& counter : read->counters) {
      const auto rail = std::find(rails_.begin(), rails_.end(), counter.rail);
      if (rail == rails_.end()) continue;
      readings.push_back(
          {static_cast<int>(rail - rails_.begin()), read->t_ns, counter.microjoules});
    }
    return absl::OkStatus();
  }

 private:
  absl::Status CheckClock(std::int64_t t_ns) const {
    const std::int64_t ahead_ns = t_ns - kStampNs - BoottimeNs();
    if (ahead_ns <= kStampNs && ahead_ns >= -kOldestNs) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrFormat("%s: its time is %.3f s from this phone's BOOTTIME, so it is another "
                        "clock's or its counters stand still",
                        file_.string(), static_cast<double>(ahead_ns) * 1e-9));
  }
  absl::Status Stuck(std::int64_t t_ns, std::int64_t& lost) const {
    if (t_ns == *last_ns_) return absl::OkStatus();
    ++lost;
    return absl::DataLossError(absl::StrCat(file_.string(), ": its time went back"));
  }

  const fs::path file_;
  const bool live_;
  std::vector<std::string> rails_;  // of channels, in their order
  std::vector<v1::ChannelInfo> channels_;
  std::optional<std::int64_t> last_ns_;
};

}  // namespace

void FindOdpm(const HostPaths& paths, FoundPower& found) {
  std::vector<std::string> names;
  for (const Numbered& device : ListNumbered(paths.Under("sys/bus/iio/devices"), "iio:device")) {
    const std::string monitor = ReadSysfsText(device.path / "name").value_or("");
    if (!absl::EndsWith(monitor, "-odpm")) continue;
    const fs::path file = device.path / "energy_value";
    const absl::StatusOr<Reading> read = ReadCounters(file);
    if (!read.ok()) {
      found.obstacles.push_back(absl::StrCat(
          "ODPM ", monitor, ": ", read.status().message(),
          absl::IsPermissionDenied(read.status())
              ? "; run the agent as root, or make the file readable by `chmod a+r` on it (SELinux "
                "may forbid it all the same: `setenforce 0` on a phone of yours)"
              : ""));
      continue;
    }
    auto source = std::make_unique<OdpmPower>(file, paths.live());
    for (const Counter& counter : read->counters) {
      const std::string name = found.Name(counter.rail, monitor);
      v1::ChannelInfo channel =
          PowerChannel(name, v1::QUANTITY_ENERGY_COUNTER_J, kMicro, kHz, v1::SCOPE_BOARD_RAIL,
                       absl::StrCat("rail ", counter.rail, " of ", monitor,
                                    ": one of the phone's, not the whole of it"));
      channel.set_refresh_ns(RefreshNs(device.path));
      source->Add(counter.rail, std::move(channel));
      names.push_back(name);
    }
    found.sources.push_back(std::move(source));
  }
  if (names.empty()) return;
  found.obstacles.push_back(absl::StrCat(
      "rails ", absl::StrJoin(names, ", "),
      ": none is the whole phone, so results are not reported from them; name one as power_channel "
      "in the agent's configuration to choose it"));
}

}  // namespace joulefarm::agent
