// The driver of the CT-3 family on a played line, up to the times that results go by: at every rate
// its clock has to be known well.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "agent/power/meter/bytes.h"
#include "agent/power/meter/checksum.h"
#include "agent/power/meter/ct3.h"
#include "tests/integration/aligned_meter.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;
constexpr std::int64_t kWayNs = 300'000;  // of a frame, at the least

// A meter that streams down a tty. Each frame's voltage, at 1 A, is its number in tenths of a mV.
class PlayedMeter : public Link {
 public:
  PlayedMeter(double rate, std::uint64_t seed) : rate_(rate), random_(seed) {}

  std::int64_t now() const { return now_ns_; }
  // 20 ms and what the system needs to wake a thread.
  void PileUp() { now_ns_ += 20 * kMs + 50'000 + Late(20'000); }
  std::int64_t TimeOf(std::int64_t number) const {
    return begun_ns_ +
           static_cast<std::int64_t>(static_cast<double>(number * interval_ns_) * rate_);
  }

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int /*timeout_ms*/) override {
    const std::uint8_t command = bytes[6];
    coming_.clear();
    Arrive(now_ns_ + kWayNs, {0x01, command, bytes[7], 0x80});
    interval_ns_ = 0;
    if (command != 0x09) return absl::OkStatus();
    interval_ns_ = static_cast<std::int64_t>(U32Le(bytes, 9)) * kMs;
    begun_ns_ = now_ns_ + kMs;
    number_ = 0;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t most, int timeout_ms) override {
    const std::int64_t until_ns = now_ns_ + timeout_ms * kMs;
    while (interval_ns_ > 0 && TimeOf(number_) <= until_ns) Measure();
    if (coming_.empty() || coming_.begin()->first > until_ns) {
      now_ns_ = until_ns;
      return absl::DeadlineExceededError("nothing");
    }
    if (coming_.begin()->first > now_ns_) now_ns_ = coming_.begin()->first + Late(30'000);
    std::vector<std::uint8_t> bytes;
    while (!coming_.empty() && coming_.begin()->first <= now_ns_) {
      const std::vector<std::uint8_t>& frame = coming_.begin()->second;
      bytes.insert(bytes.end(), frame.begin(), frame.end());
      coming_.erase(coming_.begin());
    }
    EXPECT_LE(bytes.size(), most);
    return bytes;
  }

 private:
  std::int64_t Late(double mean_ns) {
    std::exponential_distribution<double> late(1 / mean_ns);
    return static_cast<std::int64_t>(late(random_));
  }
  void Measure() {
    std::vector<std::uint8_t> payload = {0x04, 0x00, 0x01, 0x00};
    const auto append = [&payload](auto value) {
      std::array<std::uint8_t, sizeof value> raw{};
      std::memcpy(raw.data(), &value, sizeof value);
      payload.insert(payload.end(), raw.begin(), raw.end());
    };
    append(static_cast<float>(number_) * 1e-4F);
    append(1.0F);
    append(static_cast<std::uint64_t>(7 * kSecond + number_ * interval_ns_) / 1000);
    Arrive(TimeOf(number_) + kWayNs + Late(100'000), payload);
    ++number_;
  }
  void Arrive(std::int64_t at_ns, const std::vector<std::uint8_t>& payload) {
    std::vector<std::uint8_t> frame = {0xA5, static_cast<std::uint8_t>(payload.size()), 0, 0, 0};
    frame.insert(frame.end(), payload.begin(), payload.end());
    frame.push_back(Xor8(payload));
    frame.push_back(0x5A);
    // One after the other.
    if (!coming_.empty()) at_ns = std::max(at_ns, coming_.rbegin()->first);
    coming_.emplace(at_ns, frame);
  }

  const double rate_;
  std::mt19937_64 random_;
  std::int64_t now_ns_ = 3'000 * kSecond;
  std::int64_t begun_ns_ = 0;
  std::int64_t interval_ns_ = 0;
  std::int64_t number_ = 0;
  std::multimap<std::int64_t, std::vector<std::uint8_t>> coming_;
};

TEST(Ct3AlignmentTest, ItsClockIsKnownWellAtEveryRate) {
  static const auto& model = *new MeterModel(Ct3Model());
  for (const double rate_hz : {1000.0, 500.0, 250.0, 200.0, 100.0, 50.0, 25.0, 20.0}) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const std::string what = absl::StrCat(rate_hz, " Hz, seed ", seed);
      PlayedMeter line(1 + 1e-5 * (static_cast<double>(seed) - 4), seed);
      AlignedMeter meter(model);
      const auto driver = MakeCt3Driver([&line] { return line.now(); }, [&line] { line.PileUp(); });
      ASSERT_TRUE(driver->Start(line, rate_hz).ok()) << what;
      const std::int64_t begin_ns = line.now();
      while (line.now() < begin_ns + 15 * kSecond) {
        MeterBatch batch;
        ASSERT_TRUE(driver->Step(line, batch).ok()) << what;
        meter.Take(batch);
      }
      EXPECT_EQ(meter.counts().lost, 0) << what;
      EXPECT_NEAR(static_cast<double>(meter.counts().samples), 15 * rate_hz,
                  0.02 * 15 * rate_hz + 2)
          << what;
      const PlacedSamples placed = meter.Align();
      ASSERT_FALSE(placed.samples.empty()) << what << ": " << placed.why_not;
      EXPECT_LE(placed.bound_ns - model.latency_u_ns, 2 * kMs) << what;
      double most_off_ns = 0;
      for (const PlacedSample& sample : placed.samples) {
        const std::int64_t true_ns = line.TimeOf(std::llround(sample.power_w * 1e4));
        most_off_ns = std::max(most_off_ns, std::abs(static_cast<double>(sample.t_ns - true_ns)));
      }
      EXPECT_LE(most_off_ns, static_cast<double>(placed.bound_ns)) << what;
    }
  }
}

}  // namespace
}  // namespace joulefarm::agent
