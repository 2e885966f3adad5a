#include "agent/power/nvml.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/fake_nvml.h"
#include "tests/agent/power/polled.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NvmlTest : public testing::Test {
 protected:
  NvmlTest() : handle_(dlopen(JOULEFARM_FAKE_NVML, RTLD_NOW)) {
    auto* state = reinterpret_cast<FakeNvmlState*>(dlsym(handle_, "FakeNvmlState"));
    nvml_ = state();
    *nvml_ = FakeNvml();
  }
  ~NvmlTest() override { dlclose(handle_); }

  FoundPower Find() {
    FoundPower found;
    FindNvml({.library = JOULEFARM_FAKE_NVML}, found);
    return found;
  }

  void* const handle_;
  FakeNvml* nvml_ = nullptr;
};

TEST_F(NvmlTest, AnEnergyCounterWhereTheGpuHasOne) {
  nvml_->count = 1;
  nvml_->gpus[0].energy_mj = 123'456'789;
  const FoundPower found = Find();
  const v1::ChannelInfo channel = ChannelsOf(found)["gpu0"];
  EXPECT_EQ(channel.quantity(), v1::QUANTITY_ENERGY_COUNTER_J);
  EXPECT_EQ(channel.scope(), v1::SCOPE_PACKAGE);
  EXPECT_EQ(channel.provenance(), v1::PROVENANCE_MEASURED);
  EXPECT_EQ(channel.refresh_ns(), 120'000'000);
  EXPECT_FALSE(channel.has_offset_u()) << "a counter has no zero";
  EXPECT_FALSE(channel.has_wrap_raw());
  EXPECT_THAT(channel.description(), AllOf(HasSubstr("Fake GPU"), HasSubstr("energy counter")));
  EXPECT_NEAR(PollOnce(found)["gpu0"], 123'456.789, 1e-9);
  ASSERT_THAT(found.totals, SizeIs(1));
  EXPECT_EQ(found.totals[0].channel, "gpu0");
  EXPECT_THAT(found.obstacles, IsEmpty());
}

TEST_F(NvmlTest, PowerWhereItHasNoCounter) {
  nvml_->count = 1;
  nvml_->gpus[0].energy_code = kNvmlNotSupported;
  nvml_->gpus[0].power_mw = 71'250;
  const FoundPower found = Find();
  const v1::ChannelInfo channel = ChannelsOf(found)["gpu0"];
  EXPECT_EQ(channel.quantity(), v1::QUANTITY_POWER_W);
  EXPECT_EQ(channel.refresh_ns(), 1'020'000'000) << "a mean over a second, and the call";
  EXPECT_TRUE(channel.has_offset_u()) << "NVIDIA's 5 % are all of its error";
  EXPECT_NEAR(PollOnce(found)["gpu0"], 71.25, 1e-12);
}

TEST_F(NvmlTest, WhatIsNotSupportedIsAnObstacleAndNever0) {
  nvml_->count = 1;
  nvml_->gpus[0].energy_code = kNvmlNotSupported;
  nvml_->gpus[0].power_code = kNvmlNotSupported;
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.totals, IsEmpty());
  EXPECT_THAT(found.obstacles,
              ElementsAre(AllOf(HasSubstr("NVML gpu0 (Fake GPU)"), HasSubstr("Not Supported (3)"),
                                HasSubstr("Jetsons"))));
}

TEST_F(NvmlTest, NoPermissionIsSaid) {
  nvml_->count = 1;
  nvml_->gpus[0].energy_code = kNvmlNoPermission;
  nvml_->gpus[0].power_code = kNvmlNoPermission;
  EXPECT_THAT(Find().obstacles, ElementsAre(HasSubstr("Insufficient Permissions (4)")));
}

TEST_F(NvmlTest, SeveralHaveASum) {
  nvml_->count = 2;
  nvml_->gpus[0].energy_mj = 5'000;
  nvml_->gpus[1].energy_mj = 7'000;
  const FoundPower found = Find();
  std::map<std::string, v1::ChannelInfo> channels = ChannelsOf(found);
  EXPECT_EQ(channels["gpu0"].parent(), "gpus");
  EXPECT_EQ(channels["gpu1"].parent(), "gpus");
  EXPECT_EQ(channels["gpus"].parent(), "");
  ASSERT_THAT(found.totals, SizeIs(1));
  EXPECT_EQ(found.totals[0].channel, "gpus");
  PollOnce(found);
  nvml_->gpus[0].energy_mj = 5'250;
  nvml_->gpus[1].energy_mj = 7'500;
  EXPECT_NEAR(PollOnce(found)["gpus"], 0.75, 1e-12) << "since the first reading";
}

TEST_F(NvmlTest, NoSumOfWhatIsNotAlikeOrNotAll) {
  nvml_->count = 2;
  nvml_->gpus[1].energy_code = kNvmlNotSupported;
  FoundPower found = Find();
  EXPECT_THAT(ChannelsOf(found), SizeIs(2));
  EXPECT_THAT(found.totals, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("there is no sum")));
  nvml_->count = 3;
  nvml_->gpus[1].energy_code = kNvmlSuccess;
  nvml_->gpus[2].energy_code = nvml_->gpus[2].power_code = kNvmlNotSupported;
  found = Find();
  EXPECT_THAT(found.totals, IsEmpty()) << "the third is not in it";
}

TEST_F(NvmlTest, AGpuThatIsLostDuringARunIsAnErrorNot0) {
  nvml_->count = 1;
  const FoundPower found = Find();
  nvml_->gpus[0].energy_code = kNvmlGpuIsLost;
  std::vector<PowerReading> readings;
  std::int64_t lost = 0;
  const absl::Status polled = found.sources.at(0)->Poll(readings, lost);
  EXPECT_THAT(readings, IsEmpty());
  EXPECT_EQ(lost, 1);
  EXPECT_THAT(std::string(polled.message()), HasSubstr("GPU is lost (15)"));
}

TEST_F(NvmlTest, BesideAPackageItSaysSo) {
  nvml_->count = 1;
  FoundPower found;
  found.totals.push_back({"package-0", Width::kPackage});
  FindNvml({.library = JOULEFARM_FAKE_NVML}, found);
  EXPECT_THAT(found.obstacles,
              ElementsAre(AllOf(HasSubstr("NVML gpu0"), HasSubstr("beside package-0"))));
}

TEST_F(NvmlTest, WithoutADriverItSaysWhatToDo) {
  nvml_->init_code = kNvmlDriverNotLoaded;
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("Driver Not Loaded (9)")));
  EXPECT_EQ(nvml_->open, 0);
}

TEST_F(NvmlTest, WithoutTheLibraryNothingIsSaid) {
  FoundPower found;
  FindNvml({.library = "libjoulefarm-there-is-none.so.1"}, found);
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, IsEmpty());
}

TEST_F(NvmlTest, AnotherLibraryIsNotUsed) {
  FoundPower found;
  FindNvml({.library = "libc.so.6"}, found);
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("lacks functions")));
}

TEST_F(NvmlTest, IsGivenBackWithTheSource) {
  nvml_->count = 1;
  {
    const FoundPower found = Find();
    EXPECT_EQ(nvml_->open, 1);
  }
  EXPECT_EQ(nvml_->open, 0);
}

}  // namespace
}  // namespace joulefarm::agent
