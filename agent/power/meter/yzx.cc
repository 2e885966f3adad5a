#include "agent/power/meter/yzx.h"

#include <utility>

#include "agent/power/meter/bytes.h"
#include "agent/power/meter/checksum.h"
#include "agent/power/meter/serial_driver.h"
#include "agent/power/meter/stream_decoder.h"

namespace joulefarm::agent {
namespace {

constexpr std::size_t kFrame = 28;
constexpr double kMaxVoltage = 30;
constexpr double kMaxCurrent = 12;
constexpr int kStepMs = 250;
constexpr int kQuietMs = 20;

// As far as there are bytes to tell.
bool Begins(Bytes bytes) {
  return bytes[0] == 0xAB && (bytes.size() < 2 || bytes[1] == 0x00) &&
         (bytes.size() < 3 || bytes[2] == 0x06);
}

class YzxDecoder final : public StreamDecoder {
 protected:
  Taken Take(Bytes arrived, std::vector<MeterSample>& samples) override {
    if (!Begins(arrived)) return RefuseUpTo(arrived, Begins, "bytes outside of a frame");
    if (arrived.size() < kFrame) return {};
    if (Sum8(arrived.subspan(0, kFrame - 1)) != arrived[kFrame - 1]) {
      return RefuseUpTo(arrived, Begins, "the check sum of a frame is wrong");
    }
    MeterSample sample;
    sample.voltage_v = I32Le(arrived, 3) / 1e4;
    sample.current_a = I32Le(arrived, 7) / 1e4;
    sample.power_w = *sample.voltage_v * *sample.current_a;
    // Its clock stands still without load, so samples carry none. Which data line comes first is
    // disputed, so neither is given out.
    sample.more = {{"charge_ah", U32Le(arrived, 11) / 1e4},
                   {"energy_wh", U32Le(arrived, 15) / 1e4},
                   {"load_s", U32Le(arrived, 19) / 100.0}};
    absl::Status range = CheckRange(sample, kMaxVoltage, kMaxCurrent);
    if (range.ok()) samples.push_back(std::move(sample));
    return {kFrame, std::move(range)};
  }
};

class YzxDriver final : public MeterDriver {
 public:
  absl::StatusOr<MeterIdentity> Start(Link& link, double /*rate_hz*/) override {
    decoder_.Reset();
    if (absl::Status quiet = DrainLine(link, kQuietMs); !quiet.ok()) return quiet;
    return MeterIdentity{};
  }
  absl::Status Step(Link& link, MeterBatch& batch) override {
    batch = MeterBatch();
    return ReadInto(link, kFrame, kStepMs, decoder_, batch);
  }
  // It sends by itself: there is nothing to stop.
  void Stop(Link& /*link*/) override {}

 private:
  YzxDecoder decoder_;
};

}  // namespace

MeterModel YzxModel() {
  MeterModel model;
  model.name = "yzx";
  model.title = "YZXStudio ZY1280, ZY1280E";
  model.link = LinkKind::kSerial;
  model.max_rate_hz = 4;
  model.kind = SampleKind::kAveraged;
  model.smoothing_ns = 250'000'000;
  model.refresh_ns = 250'000'000;
  model.latency_u_ns = 250'000'000;
  model.resolution_w = 1e-4;
  model.max_voltage_v = kMaxVoltage;
  model.max_current_a = kMaxCurrent;
  model.gain_u = 0.005;
  model.offset_u_w = 0.005;
  model.make_decoder = [] { return std::make_unique<YzxDecoder>(); };
  model.make_driver = [] { return std::make_unique<YzxDriver>(); };
  model.tested = "derived bytes";
  return model;
}

}  // namespace joulefarm::agent
