// A KM003C on umockdev's bus, from udev and libusb to readings: found, sampled, unplugged, plugged
// in again, silent, stalled, noisy, held by another process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <functional>
#include <sstream>
#include <thread>

#include "agent/commands/meters.h"
#include "agent/power/found_meters.h"
#include "agent/power/link/usb_bus.h"
#include "agent/power/link/usb_link.h"
#include "agent/process/boottime.h"
#include "deploy/fake_meter/fake_km003c.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kPatienceNs = 30'000 * kMs;

class MeterOnBusTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(FakeUsbBus::Works()) << "run me under umockdev-wrapper";
    bus_ = std::make_unique<FakeUsbBus>();
    timing_.silence_ns = 400 * kMs;
    timing_.back_off_ns = 5 * kMs;
    timing_.most_back_off_ns = 20 * kMs;
    timing_.first_sample_ns = kPatienceNs;
  }
  // The one meter that is here, as the registry would make its source.
  MeteredSource& Source() {
    if (source_ != nullptr) return *source_;
    const FoundMeters here = FindMeters(MeterConfig());
    EXPECT_EQ(here.meters.size(), 1U);
    EXPECT_EQ(here.meters[0].obstacle, "");
    source_ = std::make_unique<MeteredSource>(
        *here.meters[0].model, settings_, "m",
        MeteredSource::Identity{.id = IdOf(here.meters[0]), .place = PlaceOf(here.meters[0])},
        OpenerOf(here.meters[0]), timing_);
    return *source_;
  }
  // Collects until that holds, or not at all.
  bool Until(const std::function<bool()>& holds) {
    const std::int64_t end_ns = BoottimeNs() + kPatienceNs;
    while (BoottimeNs() < end_ns) {
      const std::size_t before = readings_.size();
      if (absl::Status polled = Source().Poll(readings_, lost_); !polled.ok()) trouble_ = polled;
      news_ = readings_.size() > before;
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
  bool More(std::size_t count = 20) {
    const std::size_t before = readings_.size();
    return Until([&] { return readings_.size() >= before + count; });
  }

  FakeKm003c meter_{"A1", [](std::int64_t t_ns) {
                      // Changes with each conversion.
                      return FakeKm003c::Flow{5, 1 + 0.001 * static_cast<double>(t_ns / kMs % 100)};
                    }};
  MeterSettings settings_;
  MeteredSource::Timing timing_;
  std::vector<PowerReading> readings_;
  std::int64_t lost_ = 0;
  bool news_ = false;
  absl::Status trouble_;
  std::unique_ptr<FakeUsbBus> bus_;
  std::unique_ptr<MeteredSource> source_;  // before the bus goes
};

TEST_F(MeterOnBusTest, IsFoundAndSampled) {
  bus_->Plug(meter_);
  meter_.LeaveReply();
  ASSERT_TRUE(Source().Start().ok());
  ASSERT_TRUE(More(200));
  std::int64_t last_ns = 0;
  for (const PowerReading& reading : readings_) {
    if (reading.channel != MeterReadings::kPower) continue;
    EXPECT_GT(reading.t_ns, last_ns);
    last_ns = reading.t_ns;
    const double watts = static_cast<double>(reading.raw) * 1e-6;
    EXPECT_GE(watts, 5);
    EXPECT_LT(watts, 5.5);
    // What the meter showed at its stamp, within the bound of the stamp and the refresh.
    const auto at = [&](std::int64_t t_ns) {
      return 5 + 0.005 * static_cast<double>(t_ns / kMs % 100);
    };
    bool shown = false;
    for (std::int64_t off = -4; off <= 2 && !shown; ++off)
      shown = std::abs(watts - at(reading.t_ns + off * kMs)) < 1e-5;
    EXPECT_TRUE(shown) << watts << " W at " << reading.t_ns;
  }
  const MeterReport report = *Source().Meter();
  EXPECT_EQ(report.id, "meter:km003c:A1");
  EXPECT_GT(*report.counts.distinct_hz, 0);
  EXPECT_LE(*report.counts.half_round_trip_ns, 2 * kMs);
  EXPECT_EQ(report.counts.rejected, 0);
  EXPECT_EQ(report.counts.lost, lost_);
}

TEST_F(MeterOnBusTest, UnpluggedAndPluggedInAgainWhileItSamples) {
  bus_->Plug(meter_);
  ASSERT_TRUE(Source().Start().ok());
  ASSERT_TRUE(More());
  bus_->Unplug();
  ASSERT_TRUE(Until([&] { return absl::IsUnavailable(trouble_); }));
  EXPECT_THAT(std::string(trouble_.message()), HasSubstr("KM003C"));
  ASSERT_TRUE(Until([&] { return !news_; }));
  // At another address of the same bus.
  bus_->Plug(meter_);
  ASSERT_TRUE(More());
  EXPECT_EQ(Source().Meter()->counts.reopened, 1);
  // And into another port: it is known by its serial number.
  bus_->Unplug();
  ASSERT_TRUE(Until([&] { return !news_; }));
  bus_->Plug(meter_, 2);
  ASSERT_TRUE(More());
  EXPECT_EQ(Source().Meter()->counts.reopened, 2);
}

TEST_F(MeterOnBusTest, ASilentMeterIsOpenedAgain) {
  bus_->Plug(meter_);
  ASSERT_TRUE(Source().Start().ok());
  meter_.SetMood(FakeKm003c::Mood::kSilent);
  ASSERT_TRUE(Until([&] { return absl::IsUnavailable(trouble_); }));
  EXPECT_THAT(std::string(trouble_.message()), HasSubstr("no sample for"));
  meter_.SetMood(FakeKm003c::Mood::kFine);
  ASSERT_TRUE(More());
  EXPECT_GE(Source().Meter()->counts.reopened, 1);
}

TEST_F(MeterOnBusTest, AStalledMeterIsOpenedAgain) {
  bus_->Plug(meter_);
  ASSERT_TRUE(Source().Start().ok());
  meter_.SetMood(FakeKm003c::Mood::kStalled);
  ASSERT_TRUE(Until([&] { return absl::IsInternal(trouble_); }));
  EXPECT_THAT(std::string(trouble_.message()), HasSubstr("stall"));
  meter_.SetMood(FakeKm003c::Mood::kFine);
  ASSERT_TRUE(More());
}

TEST_F(MeterOnBusTest, NoiseIsRefusedAndCountedAndNeverAValue) {
  bus_->Plug(meter_);
  ASSERT_TRUE(Source().Start().ok());
  meter_.SetMood(FakeKm003c::Mood::kGarbage);
  ASSERT_TRUE(Until([&] { return Source().Meter()->counts.rejected > 5; }));
  meter_.SetMood(FakeKm003c::Mood::kFine);
  ASSERT_TRUE(More());
  EXPECT_GT(lost_, 0);
  for (const PowerReading& reading : readings_) {
    if (reading.channel != MeterReadings::kPower) continue;
    EXPECT_GE(reading.raw, 5'000'000);
    EXPECT_LT(reading.raw, 5'500'000);
  }
}

TEST_F(MeterOnBusTest, HeldByAnotherProcess) {
  bus_->Plug(meter_);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t other = fork();
  if (other == 0) {
    const absl::StatusOr<std::vector<UsbDevice>> devices = ListUsbDevices();
    const absl::StatusOr<std::unique_ptr<Link>> link =
        OpenUsbLink((*devices)[0], {.usb_interface = 0, .endpoint_out = 1, .endpoint_in = 0x81});
    const char works = link.ok() ? '+' : '-';
    if (write(ready[1], &works, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char works = 0;
  ASSERT_EQ(read(ready[0], &works, 1), 1);
  EXPECT_EQ(works, '+');
  timing_.first_sample_ns = 200 * kMs;
  const absl::Status held = Source().Start();
  EXPECT_TRUE(absl::IsResourceExhausted(held)) << held;
  EXPECT_THAT(std::string(held.message()), HasSubstr("is held by another program"));
  // The listing says it as well.
  const MetersReport report = ReadMeters(HostPaths(), PowerSettings());
  EXPECT_THAT(report.obstacles, Contains(HasSubstr("is held by another program")));
  kill(other, SIGKILL);
  int status = 0;
  waitpid(other, &status, 0);
  source_.reset();
  timing_.first_sample_ns = kPatienceNs;
  EXPECT_TRUE(Source().Start().ok());
  EXPECT_TRUE(More());
  close(ready[0]);
  close(ready[1]);
}

TEST_F(MeterOnBusTest, WithoutPermissionItSaysWhatToDo) {
  if (getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  bus_->Plug(meter_);
  bus_->Forbid();
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t other = fork();
  if (other == 0) {
    constexpr uid_t kNobody = 65534;
    std::string text = "cannot become nobody";
    if (setgid(kNobody) == 0 && setuid(kNobody) == 0) {
      const FoundMeters here = FindMeters(MeterConfig());
      text = here.meters.empty() ? "found nothing" : here.meters[0].obstacle;
    }
    _exit(write(told[1], text.data(), text.size()) < 0);
  }
  close(told[1]);
  std::string text;
  char part[512];
  for (ssize_t size = 0; (size = read(told[0], part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(size));
  close(told[0]);
  int status = 0;
  waitpid(other, &status, 0);
  EXPECT_EQ(status, 0);
  const std::string advice = "no permission to open /dev/bus/usb/003/002; install the rules";
  // Said before it is tried.
  EXPECT_THAT(text, AllOf(HasSubstr(advice), HasSubstr("60-joulefarm-usb.rules")));
}

TEST_F(MeterOnBusTest, IsMadeByItsId) {
  bus_->Plug(meter_);
  const absl::StatusOr<std::unique_ptr<MeteredSource>> made =
      MakeMeterById("meter:km003c:A1", MeterConfig());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ((*made)->channels()[0].name(), "km003c");
  EXPECT_EQ((*made)->channels()[0].meter(), "meter:km003c:A1");
  EXPECT_EQ((*made)->channels()[0].stamp_bound_ns(), 2 * kMs);
  EXPECT_TRUE((*made)->Start().ok());
}

TEST_F(MeterOnBusTest, TheListingShowsItAndResultsComeFromIt) {
  bus_->Plug(meter_);
  const MetersReport report = ReadMeters(HostPaths(), PowerSettings());
  std::ostringstream table;
  WriteMetersTable(report, table);
  EXPECT_THAT(table.str(),
              AllOf(HasSubstr("\nkm003c "), HasSubstr(" device "), HasSubstr("measured"),
                    HasSubstr("total"), HasSubstr("500 Hz"), HasSubstr("km003c.voltage"),
                    HasSubstr("5.000 V"), HasSubstr("serial A1, USB port 3-1"),
                    HasSubstr("Results are reported from km003c")))
      << table.str();
  ASSERT_FALSE(report.meters.empty());
  EXPECT_TRUE(report.meters[0].channel.primary());
  ASSERT_TRUE(report.meters[0].power_w);
  EXPECT_GE(*report.meters[0].power_w, 5);
  EXPECT_LT(*report.meters[0].power_w, 5.5);
  EXPECT_GT(report.meters[0].meter->counts.samples, 0);
}

TEST_F(MeterOnBusTest, TheKernelsDriverHasItBack) {
  bus_->Plug(meter_, 1, "powerz");
  ASSERT_TRUE(Source().Start().ok());
  EXPECT_EQ(bus_->driver(), "");
  source_.reset();
  EXPECT_EQ(bus_->driver(), "powerz");
}

}  // namespace
}  // namespace joulefarm::agent
