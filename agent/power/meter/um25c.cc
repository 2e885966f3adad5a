#include "agent/power/meter/um25c.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/serial_driver.h"
#include "agent/power/meter/stream_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kFrame = 130;
constexpr std::uint8_t kAsk = 0xF0;
constexpr int kFastestMs = 100;
constexpr std::uint16_t kMostGroup = 9;

constexpr double kMaxVoltage = 30;
constexpr double kMaxCurrent = 6;

struct Scale {
  std::uint16_t model;
  const char* name;
  double volts;
  double amps;
};
constexpr std::array<Scale, 3> kScales = {
    Scale{0x0963, "UM24C", 100, 1000},
    Scale{0x09C9, "UM25C", 1000, 10000},
    Scale{0x0D4C, "UM34C", 100, 1000},
};
constexpr std::uint16_t kUm34c = 0x0D4C;
constexpr std::uint16_t kFixedEnd = 0xFFF1;
// What the UM34C's last byte is the xor of, by one source.
constexpr std::array<std::size_t, 32> kXored = {1,  3,  7,  9,  15,  17,  19,  23,  31,  39, 41,
                                                45, 49, 53, 55, 57,  59,  63,  67,  69,  73, 79,
                                                83, 89, 97, 99, 109, 111, 113, 119, 121, 127};

const Scale* ScaleOf(std::uint16_t model) {
  const auto* found = std::find_if(kScales.begin(), kScales.end(),
                                   [&](const Scale& scale) { return scale.model == model; });
  return found == kScales.end() ? nullptr : found;
}

// Too few bytes to tell: it may.
bool Begins(Bytes bytes) { return bytes.size() < 2 || ScaleOf(U16Be(bytes, 0)) != nullptr; }

bool EndIsRight(Bytes frame, std::uint16_t model) {
  if (model != kUm34c) return U16Be(frame, 128) == kFixedEnd;
  std::uint8_t all = 0;
  for (const std::size_t at : kXored) all ^= frame[at];
  return frame[kFrame - 1] == all;
}

class Um25cDecoder final : public StreamDecoder {
 protected:
  Taken Take(Bytes arrived, std::vector<MeterSample>& samples) override {
    if (arrived.size() < 2) return {};
    const std::uint16_t model = U16Be(arrived, 0);
    const Scale* scale = ScaleOf(model);
    if (scale == nullptr) {
      return RefuseUpTo(
          arrived, Begins,
          absl::StrFormat("model %04x: the units of its numbers are not known", model));
    }
    if (arrived.size() < kFrame) return {};
    const std::uint16_t group = U16Be(arrived, 14);
    if (group > kMostGroup) {
      return RefuseUpTo(arrived, Begins, absl::StrCat("group ", group, " of 0 to ", kMostGroup));
    }
    MeterSample sample;
    sample.voltage_v = U16Be(arrived, 2) / scale->volts;
    sample.current_a = U16Be(arrived, 4) / scale->amps;
    sample.power_w = U32Be(arrived, 6) / 1e3;
    if (absl::Status range = CheckRange(sample, kMaxVoltage, kMaxCurrent); !range.ok()) {
      return RefuseUpTo(arrived, Begins, range.message());
    }
    sample.more = {{"temperature_c", U16Be(arrived, 10)},
                   {"temperature_f", U16Be(arrived, 12)},
                   {"group", group},
                   {"group_mah", U32Be(arrived, 16 + std::size_t{group} * 8)},
                   {"group_mwh", U32Be(arrived, 20 + std::size_t{group} * 8)},
                   {"group0_mah", U32Be(arrived, 16)},
                   {"group0_mwh", U32Be(arrived, 20)},
                   {"d_plus_v", U16Be(arrived, 96) / 100.0},
                   {"d_minus_v", U16Be(arrived, 98) / 100.0},
                   {"charge_mode", U16Be(arrived, 100)},
                   {"record_mah", U32Be(arrived, 102)},
                   {"record_mwh", U32Be(arrived, 106)},
                   {"record_threshold_a", U16Be(arrived, 110) / 100.0},
                   {"record_s", U32Be(arrived, 112)},
                   {"recording", U16Be(arrived, 116)},
                   {"screen_timeout_min", U16Be(arrived, 118)},
                   {"brightness", U16Be(arrived, 120)},
                   {"load_ohm", U32Be(arrived, 122) / 10.0},
                   {"screen", U16Be(arrived, 126)},
                   // Sources disagree about the last bytes, so they are reported, not relied on.
                   {"end_as_documented", EndIsRight(arrived, model) ? 1 : 0}};
    samples.push_back(std::move(sample));
    return {kFrame, absl::OkStatus()};
  }
};

class Um25cDriver final : public MeterDriver {
 public:
  Um25cDriver() : line_({kAsk}, kFrame, kFastestMs) {}

  absl::StatusOr<MeterIdentity> Start(Link& /*link*/, double rate_hz) override {
    line_.Start(rate_hz);  // whose first question drains the line
    return MeterIdentity{};
  }
  absl::Status Step(Link& link, MeterBatch& batch) override {
    return line_.Poll(link, decoder_, batch);
  }
  // It only answers: there is nothing to stop.
  void Stop(Link& /*link*/) override {}

 private:
  Um25cDecoder decoder_;
  PolledLine line_;
};

}  // namespace

MeterModel Um25cModel() {
  MeterModel model;
  model.name = "um25c";
  model.title = "RuiDeng UM24C, UM25C, UM34C";
  model.link = LinkKind::kSerial;
  model.baud = 9600;  // of no effect over Bluetooth
  model.max_rate_hz = 10;
  model.kind = SampleKind::kAveraged;
  model.smoothing_ns = 500'000'000;
  model.refresh_ns = 500'000'000;
  model.stamp_bound_ns = PolledLine::kLongestRoundTripNs / 2;
  model.latency_u_ns = 500'000'000;
  model.resolution_w = 1e-3;
  model.max_voltage_v = kMaxVoltage;
  model.max_current_a = kMaxCurrent;
  model.gain_u = 0.01;
  model.offset_u_w = 0.01;
  model.make_decoder = [] { return std::make_unique<Um25cDecoder>(); };
  model.make_driver = [] { return std::make_unique<Um25cDriver>(); };
  model.tested = "derived bytes";
  return model;
}

}  // namespace joulefarm::agent
