// PTDaemon's driver against a daemon on a played clock, up to the times that results go by.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/power/meter/ptdaemon.h"
#include "agent/power/meter/ptdaemon_driver.h"
#include "tests/integration/aligned_meter.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kSecond = 1'000 * kMs;

struct Setting {
  double seconds = 60;
  double way_ms = 1;      // of a message, at the least
  double busy_ms = 0;     // after each sample the daemon answers nothing
  int stalls = 0;         // of this host
  int slow_messages = 0;  // of each thousand: sent twice, after 200 ms
};

// A sample a second; the watts of each are its number.
class PlayedDaemon : public Link {
 public:
  PlayedDaemon(const Setting& setting, std::uint64_t seed) : setting_(setting), random_(seed) {}

  std::int64_t now() const { return now_ns_; }
  void Pass(std::int64_t ns) { now_ns_ += ns; }
  // Samples whose reply was read.
  int delivered() const { return delivered_; }
  // When the sample of so many watts was.
  std::int64_t TimeOf(double watts) const {
    return begun_ns_ + static_cast<std::int64_t>(std::round(watts) * kPeriodNs);
  }

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int /*timeout_ms*/) override {
    const absl::string_view line(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::int64_t received_ns = Idle(now_ns_ + WayNs());
    std::string reply = "Hello, PTDaemon here!\r\n";
    if (line == "Identify\r\n") reply = "YokogawaWT310,8,1.9.2\r\n";
    if (absl::StartsWith(line, "Go,")) {
      reply = "Starting untimed measurement\r\n";
      begun_ns_ = received_ns;
    }
    if (line == "RL\r\n") reply = Unread(received_ns);
    replies_ns_ = received_ns + WayNs();
    reply_ += reply;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t /*most*/, int timeout_ms) override {
    const std::int64_t until_ns = now_ns_ + timeout_ms * kMs;
    if (reply_.empty() || replies_ns_ > until_ns) {
      now_ns_ = until_ns;
      return absl::DeadlineExceededError("nothing");
    }
    now_ns_ = std::max(now_ns_, replies_ns_);
    delivered_ = answered_;
    const std::string reply = std::exchange(reply_, {});
    return std::vector<std::uint8_t>(reply.begin(), reply.end());
  }

 private:
  static constexpr double kPeriodNs = 1.0003e9;

  std::int64_t WayNs() {
    std::exponential_distribution<double> late_ms(2);
    const double twice_ms = static_cast<int>(random_() % 1000) < setting_.slow_messages ? 200 : 0;
    return static_cast<std::int64_t>((setting_.way_ms + late_ms(random_) + twice_ms) * 1e6);
  }
  int Taken(std::int64_t at_ns) const {
    return static_cast<int>(std::floor(static_cast<double>(at_ns - begun_ns_) / kPeriodNs));
  }
  // When it next listens: it reads its analyser before each sample is there.
  std::int64_t Idle(std::int64_t at_ns) const {
    if (begun_ns_ == 0) return at_ns;
    const std::int64_t next_ns = TimeOf(Taken(at_ns) + 1);
    const auto busy_ns = static_cast<std::int64_t>(setting_.busy_ms * 1e6);
    return at_ns + busy_ns < next_ns ? at_ns : next_ns;
  }
  std::string Unread(std::int64_t at_ns) {
    const int taken = Taken(at_ns);
    std::string reply = absl::StrCat("Last ", taken - answered_, " samples\r\n");
    while (answered_ < taken) {
      ++answered_;
      const std::int64_t ms = answered_ * std::int64_t{1000};
      absl::StrAppend(
          &reply, absl::StrFormat("Time,01-22-2021 15:%02d:%02d.%03d,Watts,%d,Volts,227.37,Amps,"
                                  "0.2,PF,0.4944,Mark,notset\r\n",
                                  ms / 60'000 % 60, ms / 1'000 % 60, ms % 1'000, answered_));
    }
    return reply;
  }

  const Setting setting_;
  std::mt19937_64 random_;
  std::int64_t now_ns_ = 5'000 * kSecond;
  std::int64_t begun_ns_ = 0;
  int answered_ = 0;
  int delivered_ = 0;
  std::int64_t replies_ns_ = 0;
  std::string reply_;
};

struct Outcome {
  PlacedSamples placed;
  MeterCounts counts;
  int delivered = 0;
  std::vector<double> off_ns;  // of each sample, sorted
};

Outcome Measure(const Setting& setting, std::uint64_t seed) {
  static const auto& model = *new MeterModel(PtdaemonModel());
  PlayedDaemon daemon(setting, seed);
  std::mt19937_64 random(seed);
  AlignedMeter meter(model);
  PtdaemonDriver driver([&daemon] { return daemon.now(); });
  EXPECT_TRUE(driver.Start(daemon, 0).ok());
  const std::int64_t begin_ns = daemon.now();
  const auto length_ns = static_cast<std::int64_t>(setting.seconds * 1e9);
  std::vector<std::int64_t> stalls_ns;
  for (int i = 0; i < setting.stalls; ++i) {
    stalls_ns.push_back(
        begin_ns + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(length_ns)));
  }
  while (daemon.now() < begin_ns + length_ns) {
    MeterBatch batch;
    const absl::Status step = driver.Step(daemon, batch);
    EXPECT_TRUE(step.ok()) << step;
    if (!step.ok()) break;
    meter.Take(batch);
    const auto over = std::remove_if(stalls_ns.begin(), stalls_ns.end(),
                                     [&](std::int64_t at_ns) { return at_ns <= daemon.now(); });
    if (over != stalls_ns.end()) daemon.Pass(static_cast<std::int64_t>(random() % 1500) * kMs);
    stalls_ns.erase(over, stalls_ns.end());
  }
  Outcome outcome{meter.Align(), meter.counts(), daemon.delivered(), {}};
  for (const PlacedSample& sample : outcome.placed.samples) {
    outcome.off_ns.push_back(
        std::abs(static_cast<double>(sample.t_ns - daemon.TimeOf(sample.power_w))));
  }
  std::sort(outcome.off_ns.begin(), outcome.off_ns.end());
  return outcome;
}

void ExpectWithinTheBound(const Outcome& outcome, const std::string& what) {
  ASSERT_FALSE(outcome.off_ns.empty()) << what << ": " << outcome.placed.why_not;
  EXPECT_LE(outcome.off_ns.back(), static_cast<double>(outcome.placed.bound_ns)) << what;
  EXPECT_LE(outcome.placed.bound_ns, 250 * kMs) << what;
  EXPECT_EQ(outcome.counts.samples + outcome.counts.lost, outcome.delivered) << what;
}

TEST(PtdaemonAlignmentTest, EverySampleIsWithinItsBoundHoweverLongItRuns) {
  for (const double seconds : {4.0, 12.0, 40.0, 300.0}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const std::string what = absl::StrCat(seconds, " s, seed ", seed);
      const Outcome outcome = Measure({.seconds = seconds}, seed);
      ExpectWithinTheBound(outcome, what);
      EXPECT_EQ(outcome.counts.lost, 0) << what;
      EXPECT_LE(outcome.off_ns.back(), 25e6) << what << ": a poll's period and a round trip";
    }
  }
}

TEST(PtdaemonAlignmentTest, ADaemonThatIsBusyAndASlowNetwork) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Outcome outcome =
        Measure({.seconds = 120, .way_ms = 20, .busy_ms = 120, .slow_messages = 20}, seed);
    ExpectWithinTheBound(outcome, absl::StrCat("seed ", seed));
    EXPECT_GE(outcome.counts.samples, 110) << "seed " << seed;
  }
}

TEST(PtdaemonAlignmentTest, AHostThatStandsStillLosesSamplesNotTheirTimes) {
  std::int64_t lost = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Outcome outcome = Measure({.seconds = 60, .stalls = 5}, seed);
    ExpectWithinTheBound(outcome, absl::StrCat("seed ", seed));
    EXPECT_GE(outcome.counts.samples, 45) << "seed " << seed;
    lost += outcome.counts.lost;
  }
  EXPECT_GT(lost, 0) << "or nothing was tried";
}

}  // namespace
}  // namespace joulefarm::agent
