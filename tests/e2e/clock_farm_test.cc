// A device and its meter on two machines whose clocks are hours apart and run at rates of their
// own, seen by the controller over networks whose two ways are not alike: energies are those that
// one host would have measured, to within the bound that the results state.
//
// The two machines are processes under shifted_clock.cc; the meter is a KM003C of deploy/fake_meter
// that shows a sine of the true clock. Nothing here judges how long something took.
#include <gmock/gmock.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "deploy/fake_meter/fake_km003c.h"
#include "tests/e2e/clock_shift.h"
#include "tests/e2e/delaying_proxy.h"
#include "tests/e2e/farm.h"
#include "tests/e2e/waveform.h"

namespace joulefarm::e2e {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kHour = 3'600'000 * kMs;
constexpr double kVolts = 20;
constexpr int kRateHz = 50;
// Longer intervals between samples are gaps, and with them phases as short as these have no energy.
constexpr double kLongestIntervalS = 5.0 / kRateHz;
// A conversion of the meter stands for so long; it is no part of the clocks' bound.
constexpr std::int64_t kRefreshNs = 2 * kMs;
constexpr int kRuns = 8;
// A host that is busy loses samples, as with a real meter. Then the energies are measured again.
constexpr int kTries = 5;

std::int64_t TrueNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 * kMs + now.tv_nsec;
}

double Number(const std::string& text) {
  double value = 0;
  EXPECT_TRUE(absl::SimpleAtod(text, &value)) << text;
  return value;
}

std::int64_t Ns(const std::string& text) {
  std::int64_t value = 0;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << text;
  return value;
}

// One row of energies, with its interval on the true clock.
struct Measured {
  std::string what;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  double energy_j = 0;
  double clock_u_j = 0;
  double counter_u_j = 0;
  std::string quality;
  std::string reasons;
};

// Of the meter's channel, as stored.
struct Bound {
  std::int64_t stamp_ns = 0;
  std::int64_t meter_host_ns = 0;
  std::int64_t device_host_ns = 0;
  std::int64_t total_ns = 0;
};

class ClockFarmTest : public FarmTest {
 protected:
  void SetUp() override {
    if (!FakeUsbBus::Works()) GTEST_SKIP() << "needs umockdev-wrapper (Debian package umockdev)";
    // For the agent that has the meter only.
    preloaded_ = std::getenv("LD_PRELOAD");
    unsetenv("LD_PRELOAD");
    bus_ = std::make_unique<FakeUsbBus>();
    bus_->Plug(meter_);
    StartController();
  }
  void TearDown() override {
    FarmTest::TearDown();
    if (!preloaded_.empty()) setenv("LD_PRELOAD", preloaded_.c_str(), 1);
  }

  // Agent "a" is the device, "b" has its meter. Each sees the controller through a network.
  void StartAgents(const Delays& of_device, const Delays& of_meter) {
    device_network_ = std::make_unique<DelayingProxy>(address(), of_device);
    meter_network_ = std::make_unique<DelayingProxy>(address(), of_meter);
    WriteFile(dir() / "b.yaml", absl::StrCat("meters: [{serial: A1, rate_hz: ", kRateHz, "}]\n"));
    WriteFile(dir() / "a.yaml", "meter: {agent: b, serial: A1}\n");
    StartAgentAndWait(
        "b",
        {{"LD_PRELOAD", absl::StrCat(JF_SHIFTED_CLOCK, ":", preloaded_)},
         {kClockShiftName, meter_clock_.Text()}},
        {"--config", (dir() / "b.yaml").string(), "--controller", meter_network_->address()});
    ASSERT_TRUE(Eventually([&] {
      return Value("select count(*) from resource where agent_id = 'b' and link = 'ONLINE'") == "1";
    })) << agent("b").err();
    StartAgentAndWait(
        "a", {{"LD_PRELOAD", JF_SHIFTED_CLOCK}, {kClockShiftName, device_clock_.Text()}},
        {"--config", (dir() / "a.yaml").string(), "--controller", device_network_->address()});
  }

  // Until no energy is missing.
  void Measure() {
    const std::string script =
        "echo '{\"phase\": \"prefill\", \"event\": \"begin\"}'\nsleep 0.4\n"
        "echo '{\"phase\": \"prefill\", \"event\": \"end\"}'\n"
        "echo '{\"phase\": \"decode\", \"event\": \"begin\"}'\nsleep 1.2\n"
        "echo '{\"phase\": \"decode\", \"event\": \"end\"}'\n";
    for (int i = 0; i < kTries; ++i) {
      const Ended ended =
          Submit(absl::StrCat("name: clocks\nworkloads:\n  work:\n    kind: command\n"
                              "    command:\n      - sh\n      - -c\n      - |\n        ",
                              absl::StrReplaceAll(script, {{"\n", "\n        "}}),
                              "\nrepetitions: ", kRuns,
                              "\nwarmup: 0\npower: {require: required}\ndevices: {selector: "
                              "\"id=a\"}\nplan: {settle: 0s, idle: 1s, pause: 0s, tail: 1s}\n"),
                 {"--wait"});
      ASSERT_EQ(ended.code, 0) << ended.out << ended.err;
      attempt_ = Value("select max(accepted_fence) from job");
      const Rows missing =
          Sql(absl::StrCat("select reasons from energy where ", OfRuns(), " and energy_j is null"));
      if (missing.empty()) return;
      // Nothing else than a host that was busy is an excuse.
      for (const auto& row : missing)
        ASSERT_THAT(row[0], AnyOf(HasSubstr("gap_at_edge"), HasSubstr("gap_coverage")));
    }
    FAIL() << "the host was too busy for a meter, " << kTries << " times";
  }

  std::string OfRuns() const {
    return absl::StrCat("attempt = ", attempt_,
                        " and source = 1 and channel = 'km003c' and run is not null and request is "
                        "null");
  }

  std::vector<Measured> Energies() {
    std::vector<Measured> found;
    for (const auto& row : Sql(absl::StrCat(
             "select run, coalesce(phase, 'run'), start_ns, end_ns, energy_j, clock_u_j, "
             "coalesce(counter_u_j, 0), quality, reasons from energy where ",
             OfRuns(), " order by 1, 3, 4"))) {
      // Both clocks are where they were put: nobody sees the machine's own.
      EXPECT_GT(Ns(row[2]), TrueNs() + kHour);
      found.push_back({.what = absl::StrCat("run ", row[0], " ", row[1]),
                       .start_ns = device_clock_.True(Ns(row[2])),
                       .end_ns = device_clock_.True(Ns(row[3])),
                       .energy_j = Number(row[4]),
                       .clock_u_j = Number(row[5]),
                       .counter_u_j = Number(row[6]),
                       .quality = row[7],
                       .reasons = row[8]});
    }
    return found;
  }

  Bound StoredBound() {
    const Rows rows = Sql(absl::StrCat(
        "select stamp_ns, source_host_ns, device_host_ns, total_ns, coalesce(meter_fit_ns, 0) + "
        "coalesce(latency_ns, 0) + coalesce(phase_ns, 0) from clock_bound where attempt = ",
        attempt_, " and source = 1 and channel = 'km003c'"));
    EXPECT_EQ(rows.size(), 1U);
    if (rows.size() != 1) return {};
    const Bound bound = {Ns(rows[0][0]), Ns(rows[0][1]), Ns(rows[0][2]), Ns(rows[0][3])};
    EXPECT_EQ(bound.total_ns,
              bound.stamp_ns + bound.meter_host_ns + bound.device_host_ns + Ns(rows[0][4]));
    return bound;
  }

  // How far a row is from the truth, if its interval were so much later.
  double Error(const Measured& row, std::int64_t later_ns = 0) const {
    return std::abs(row.energy_j - power_.Energy(row.start_ns + later_ns, row.end_ns + later_ns));
  }
  double SamplingBound(const Measured& row) const {
    return power_.IntegrationBound(row.start_ns, row.end_ns, kLongestIntervalS);
  }
  // How far it may be where clocks are off by so much: bound · Σ|ΔP| and that of sampling. What
  // comes over an edge counts.
  double Allowed(const Measured& row, std::int64_t clocks_ns) const {
    const std::int64_t all_ns = clocks_ns + kRefreshNs;
    return static_cast<double>(all_ns) * 1e-9 *
               power_.Travel(row.start_ns - all_ns, row.end_ns + all_ns) +
           SamplingBound(row);
  }
  // Rows that are farther from the truth than clocks that are off by so much allow.
  int Misses(const std::vector<Measured>& rows, std::int64_t clocks_ns,
             std::int64_t later_ns = 0) const {
    return static_cast<int>(std::count_if(rows.begin(), rows.end(), [&](const Measured& row) {
      return Error(row, later_ns) > Allowed(row, clocks_ns);
    }));
  }

  // What holds over every network.
  void ExpectTheTruth(const std::vector<Measured>& rows, const Bound& bound) {
    ASSERT_EQ(rows.size(), 3U * kRuns);
    double worst = 0;
    double allowed = 0;
    for (const Measured& row : rows) {
      SCOPED_TRACE(absl::StrCat(row.what, " ", row.reasons));
      EXPECT_LE(Error(row), Allowed(row, bound.total_ns));
      // What the row itself says of the clocks, and of a value that stands until the next.
      EXPECT_LE(Error(row), row.clock_u_j + row.counter_u_j + SamplingBound(row));
      EXPECT_THAT(row.quality, AnyOf("VALID", "SUSPECT"));
      EXPECT_EQ(row.clock_u_j > 0.01 * row.energy_j,
                row.reasons.find("clock:") != std::string::npos);
      if (Error(row) > worst) {
        worst = Error(row);
        allowed = Allowed(row, bound.total_ns);
      }
    }
    // The bound is not so wide that anything would do: were the meter's clock off by somewhat more
    // than that, either way, it would show.
    const std::int64_t off_ns = 3 * (bound.total_ns + kRefreshNs);
    EXPECT_GT(Misses(rows, bound.total_ns, off_ns), 0);
    EXPECT_GT(Misses(rows, bound.total_ns, -off_ns), 0);
    std::cout << absl::StreamFormat(
        "bound %.2f ms (stamp %.2f, meter's host %.2f, device's host %.2f), worst |ΔE| %.1f mJ of "
        "%.1f mJ allowed\n",
        static_cast<double>(bound.total_ns) * 1e-6, static_cast<double>(bound.stamp_ns) * 1e-6,
        static_cast<double>(bound.meter_host_ns) * 1e-6,
        static_cast<double>(bound.device_host_ns) * 1e-6, worst * 1e3, allowed * 1e3);
  }

  const std::int64_t start_ns_ = TrueNs();
  // Within what crystals differ by; 170 ppm between the two.
  const ClockShift device_clock_{start_ns_, 7 * kHour + 1'234'567'891, 90'000};
  const ClockShift meter_clock_{start_ns_, 263 * kHour + 987'654'321, -80'000};
  // Eight runs see all of it.
  const Waveform power_{start_ns_, 11, 10, 8};

  std::string preloaded_;
  FakeKm003c meter_{"A1", [this](std::int64_t t_ns) {
                      return FakeKm003c::Flow{kVolts, power_.At(t_ns) / kVolts};
                    }};
  std::unique_ptr<FakeUsbBus> bus_;
  std::unique_ptr<DelayingProxy> device_network_;
  std::unique_ptr<DelayingProxy> meter_network_;
  std::string attempt_;
};

TEST_F(ClockFarmTest, OffsetsAndRatesAreFound) {
  StartAgents({}, {});
  Measure();
  ExpectTheTruth(Energies(), StoredBound());
}

TEST_F(ClockFarmTest, WaysThatAreNotAlikeStayWithinTheBoundAndNeedAllOfIt) {
  // Of one way in each network, so that what the two hosts are off by adds up.
  constexpr std::int64_t kDelayNs = 80 * kMs;
  StartAgents({.to_client = std::chrono::nanoseconds(kDelayNs)},
              {.to_server = std::chrono::nanoseconds(kDelayNs)});
  Measure();
  const std::vector<Measured> rows = Energies();
  const Bound bound = StoredBound();
  ExpectTheTruth(rows, bound);
  // Nothing in an exchange tells one way from the other: half of what they differ by is unknown.
  EXPECT_GE(bound.device_host_ns, kDelayNs / 2);
  EXPECT_GE(bound.meter_host_ns, kDelayNs / 2);
  // Taking either network's ways for alike, or adding the hosts' bounds as if they were
  // independent, is refuted by the energies.
  EXPECT_GT(Misses(rows, bound.total_ns - bound.device_host_ns), 0);
  EXPECT_GT(Misses(rows, bound.total_ns - bound.meter_host_ns), 0);
  const auto quadrature_ns =
      static_cast<std::int64_t>(std::hypot(bound.device_host_ns, bound.meter_host_ns));
  EXPECT_GT(Misses(rows, bound.stamp_ns + quadrature_ns), 0);
}

}  // namespace
}  // namespace joulefarm::e2e
