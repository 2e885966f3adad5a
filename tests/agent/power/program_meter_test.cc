// Meters that are a program's output, with programs of the test's own: from what is stated of them
// to readings of channels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "agent/power/found_meters.h"
#include "agent/power/meter/check_settings.h"
#include "agent/power/meter/registry.h"
#include "agent/process/boottime.h"
#include "agent/process/proc_stat.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr char kLine[] =
    "RAM 1/2MB GR3D_FREQ 1% VDD_IN 3913mW/1mW VDD_CPU_GPU_CV 500mW/1mW VDD_SOC 300mW/1mW";

class ProgramMeterTest : public testing::Test {
 protected:
  std::string File(const std::string& name) const { return (dir_.path() / name).string(); }
  // A program that prints a line every tenth of a second, as long as `while_there` is.
  std::string Printing(const std::string& line) const {
    return absl::StrCat("echo $$ >>", File("pids"), "; touch ", File("on"), "; while [ -e ",
                        File("on"), " ]; do echo '", line, "'; sleep 0.05; done");
  }
  void State(const std::string& model, const std::string& script, double rate_hz) {
    MeterSettings& settings = config_.meters.emplace_back();
    settings.model = model;
    settings.command = {"sh", "-c", script};
    settings.rate_hz = rate_hz;
    settings.node = ProgramNode(*FindMeterModel(model), settings);
  }
  PowerSource& Source() {
    if (source_ == nullptr) {
      const FoundMeters here = FindMeters(config_);
      EXPECT_EQ(here.meters.size(), 1U);
      EXPECT_EQ(here.meters.at(0).obstacle, "");
      source_ = MakeMeter(here.meters.at(0), here, config_, here.meters.at(0).model->name);
    }
    return *source_;
  }
  // Polls until what has come holds, or nobody waits for it any longer.
  template <typename Holds>
  bool Await(const Holds& holds) {
    const std::int64_t until_ns = BoottimeNs() + 30'000'000'000;
    while (BoottimeNs() < until_ns) {
      const absl::Status polled = Source().Poll(readings_, lost_);
      if (!polled.ok()) troubles_.insert(std::string(polled.message()));
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  std::vector<double> Values(const std::string& name) {
    std::vector<double> values;
    for (const PowerReading& reading : readings_) {
      const v1::ChannelInfo& channel =
          Source().channels()[static_cast<std::size_t>(reading.channel)];
      if (channel.name() == name)
        values.push_back(static_cast<double>(reading.raw) * channel.scale());
    }
    return values;
  }
  std::vector<pid_t> Pids() const {
    std::vector<pid_t> pids;
    std::ifstream in(File("pids"));
    for (pid_t pid = 0; in >> pid;) pids.push_back(pid);
    return pids;
  }
  static bool Alive(pid_t pid) {
    const std::optional<ProcStat> stat = ReadProcStat("/proc", pid);
    return stat && stat->alive();
  }

  TempDir dir_;
  MeterConfig config_;
  std::vector<PowerReading> readings_;
  std::int64_t lost_ = 0;
  std::set<std::string> troubles_;
  std::unique_ptr<MeteredSource> source_;
};

TEST_F(ProgramMeterTest, TegrastatsIsReadByRailAndEndsWithItsSource) {
  State("tegrastats", Printing(kLine), 0.5);
  ASSERT_TRUE(Source().Start().ok());
  const std::vector<v1::ChannelInfo>& channels = Source().channels();
  ASSERT_EQ(channels.size(), 3U);
  EXPECT_EQ(channels[0].name(), "tegrastats");
  EXPECT_EQ(channels[0].scope(), v1::SCOPE_BOARD_RAIL);
  EXPECT_EQ(channels[0].provenance(), v1::PROVENANCE_MEASURED);
  EXPECT_EQ(channels[0].refresh_ns(), 3'000'000'000) << "one and a half times what was stated";
  EXPECT_EQ(channels[1].name(), "tegrastats.VDD_CPU_GPU_CV");
  EXPECT_EQ(channels[1].parent(), "tegrastats");
  EXPECT_EQ(channels[2].name(), "tegrastats.VDD_SOC");
  ASSERT_TRUE(Await([&] { return readings_.size() >= 9; }));
  for (const double watts : Values("tegrastats")) EXPECT_NEAR(watts, 3.913, 1e-9);
  for (const double watts : Values("tegrastats.VDD_SOC")) EXPECT_NEAR(watts, 0.3, 1e-9);
  ASSERT_THAT(Pids(), testing::SizeIs(1));
  EXPECT_TRUE(Alive(Pids()[0]));
  source_.reset();
  EXPECT_FALSE(Alive(Pids()[0]));
}

TEST_F(ProgramMeterTest, AProgramThatEndsIsStartedAgainAndCounted) {
  State("tegrastats", Printing(kLine), 0.5);
  ASSERT_TRUE(Source().Start().ok());
  std::filesystem::remove(File("on"));
  ASSERT_TRUE(Await([&] { return Source().Meter()->counts.reopened >= 1; }));
  ASSERT_TRUE(Await([&] { return !troubles_.empty(); }));
  EXPECT_THAT(troubles_, Contains(HasSubstr("has ended")));
  const std::int64_t before = Source().Meter()->counts.samples;
  EXPECT_TRUE(Await([&] { return Source().Meter()->counts.samples > before; }));
  EXPECT_GE(Pids().size(), 2U);
}

TEST_F(ProgramMeterTest, OneThatSaysNothingOrNonsenseDoesNotStart) {
  State("tegrastats", "echo 'no rails' ; echo 'what is wrong' >&2; exit 4", 1);
  const absl::Status status = Source().Start();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("exit code 4"), HasSubstr("what is wrong")));
  EXPECT_GT(Source().Meter()->counts.rejected, 0);
}

TEST_F(ProgramMeterTest, AGaugeIsAskedByARunForEachReading) {
  State("dumpsys-battery",
        absl::StrCat("echo $$ >>", File("pids"),
                     "; echo 'status: 3'; echo 'voltage: 4000'; echo 'current now: -500000'"),
        1);
  ASSERT_TRUE(Source().Start().ok());
  const std::vector<v1::ChannelInfo>& channels = Source().channels();
  ASSERT_EQ(channels.size(), 2U);
  EXPECT_EQ(channels[0].scope(), v1::SCOPE_BATTERY);
  EXPECT_EQ(channels[0].refresh_ns(), 60'000'000'000);
  EXPECT_EQ(channels[0].stamp_bound_ns(), 500'000'000);
  EXPECT_FALSE(channels[0].has_gain_u());
  EXPECT_EQ(channels[1].name(), "dumpsys-battery.voltage");
  ASSERT_TRUE(Await([&] { return Values("dumpsys-battery").size() >= 2; }));
  EXPECT_NEAR(Values("dumpsys-battery")[0], 2, 1e-9);
  EXPECT_NEAR(Values("dumpsys-battery.voltage")[0], 4, 1e-9);
  EXPECT_GE(Pids().size(), 2U) << "a run each";
}

}  // namespace
}  // namespace joulefarm::agent
