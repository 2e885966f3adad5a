#include "agent/power/rapl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/host/host_tree.h"
#include "tests/agent/power/polled.h"
#include "tests/agent/power/unprivileged.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class RaplTest : public testing::Test {
 protected:
  static std::string File(const std::string& zone, const std::string& name) {
    return "sys/class/powercap/" + zone + "/" + name;
  }
  void Zone(const std::string& zone, const std::string& name, const std::string& energy_uj,
            const std::string& range_uj = "262143328850") {
    host_.Write(File(zone, "name"), name + "\n");
    host_.Write(File(zone, "energy_uj"), energy_uj + "\n");
    host_.Write(File(zone, "max_energy_range_uj"), range_uj + "\n");
  }
  FoundPower Find() {
    FoundPower found;
    FindRapl(host_.paths(), found);
    return found;
  }

  HostTree host_;
};

TEST_F(RaplTest, ALaptopHasItsPlatformFirstAndEveryJouleOnce) {
  // The class lists the control types beside their zones.
  host_.Write("sys/class/powercap/intel-rapl/enabled", "1\n");
  Zone("intel-rapl:0", "package-0", "240422366267");
  Zone("intel-rapl:0:0", "core", "118821284256");
  Zone("intel-rapl:0:1", "uncore", "7000000");
  Zone("intel-rapl:0:2", "dram", "9000000");
  Zone("intel-rapl:1", "psys", "500000000");
  Zone("intel-rapl-mmio:0", "package-0", "240422366267");
  const FoundPower found = Find();
  const auto channels = ChannelsOf(found);
  EXPECT_THAT(PollOnce(found),
              UnorderedElementsAre(Pair("package-0", testing::DoubleEq(240422.366267)),
                                   Pair("core", testing::DoubleEq(118821.284256)),
                                   Pair("uncore", 7), Pair("dram", 9), Pair("psys", 500)));
  EXPECT_EQ(channels.at("psys").parent(), "");
  EXPECT_EQ(channels.at("package-0").parent(), "psys");
  EXPECT_EQ(channels.at("core").parent(), "package-0");
  EXPECT_EQ(channels.at("uncore").parent(), "package-0");
  EXPECT_EQ(channels.at("dram").parent(), "psys") << "memory is no part of the package";
  EXPECT_EQ(channels.at("package-0").scope(), v1::SCOPE_PACKAGE);
  EXPECT_EQ(channels.at("psys").scope(), v1::SCOPE_BOARD_RAIL);
  for (const auto& [name, channel] : channels) {
    EXPECT_EQ(channel.quantity(), v1::QUANTITY_ENERGY_COUNTER_J);
    EXPECT_EQ(channel.provenance(), v1::PROVENANCE_MEASURED);
    EXPECT_EQ(channel.wrap_raw(), 262143328850);
    EXPECT_EQ(channel.gain_u(), 0.05);
    EXPECT_GT(channel.refresh_ns(), 0);
  }
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "psys");
  EXPECT_EQ(found.totals[0].width, Width::kBoard);
  EXPECT_THAT(found.obstacles, IsEmpty());
}

TEST_F(RaplTest, SeveralPackagesAreSummedWithTheirWrapsUndone) {
  Zone("intel-rapl:0", "package-0", "262143328000");
  Zone("intel-rapl:0:0", "core", "1000000");
  Zone("intel-rapl:a", "package-10", "5000000", "65000000");
  Zone("intel-rapl:a:0", "core", "2000000");
  const FoundPower found = Find();
  const auto channels = ChannelsOf(found);
  EXPECT_EQ(channels.at("package-0").parent(), "packages");
  EXPECT_EQ(channels.at("package-10").parent(), "packages");
  EXPECT_EQ(channels.at("package-0.core").parent(), "package-0");
  EXPECT_EQ(channels.at("package-10.core").parent(), "package-10");
  EXPECT_EQ(channels.at("packages").wrap_raw(), 65'000'000) << "how often it has to be read";
  EXPECT_GT(channels.at("packages").refresh_ns(), channels.at("package-0").refresh_ns())
      << "both have to be read";
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "packages");
  EXPECT_EQ(PollOnce(found).at("packages"), 0);
  Zone("intel-rapl:0", "package-0", "1000");
  Zone("intel-rapl:a", "package-10", "6000000", "65000000");
  EXPECT_DOUBLE_EQ(PollOnce(found).at("packages"), 1.001850) << "1850 uJ over the wrap, and 1 J";
  host_.Remove(File("intel-rapl:a", "energy_uj"));
  EXPECT_FALSE(PollOnce(found).contains("packages")) << "half a sum";
}

TEST_F(RaplTest, DiesOfAPackageAreItsParts) {
  Zone("intel-rapl:0", "package-0-die-0", "1000000");
  Zone("intel-rapl:1", "package-0-die-1", "2000000");
  const FoundPower found = Find();
  EXPECT_EQ(ChannelsOf(found).at("package-0-die-1").parent(), "packages");
}

TEST_F(RaplTest, OnePackageAlone) {
  Zone("intel-rapl:0", "package-0", "1000000");
  const FoundPower found = Find();
  EXPECT_EQ(ChannelsOf(found).at("package-0").parent(), "");
  ASSERT_EQ(found.totals.size(), 1U);
  EXPECT_EQ(found.totals[0].channel, "package-0");
  EXPECT_EQ(found.totals[0].width, Width::kPackage);
}

TEST_F(RaplTest, NoPermissionIsAnObstacleWithItsCureAndNeverZero) {
  Zone("intel-rapl:0", "package-0", "1000000");
  Zone("intel-rapl:0:0", "core", "1000000");
  for (const char* zone : {"intel-rapl:0", "intel-rapl:0:0"})
    std::filesystem::permissions(host_.root() / File(zone, "energy_uj"),
                                 std::filesystem::perms::none);
  const Unprivileged unprivileged;
  if (!unprivileged.works()) GTEST_SKIP() << "root here cannot become somebody else";
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.totals, IsEmpty());
  EXPECT_THAT(found.obstacles,
              ElementsAre(testing::AllOf(HasSubstr("package-0, core"), HasSubstr("no permission"),
                                         HasSubstr("60-joulefarm-rapl.rules"), HasSubstr("chmod"),
                                         HasSubstr("setcap"))));
}

TEST_F(RaplTest, BrokenZonesSayWhy) {
  Zone("intel-rapl:0", "package-0", "");
  Zone("intel-rapl:1", "package-1", "1000", "0");
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, ElementsAre(HasSubstr("is empty"), HasSubstr("wraps")));
}

TEST_F(RaplTest, AHostWithoutRaplHasNothingToSay) {
  const FoundPower found = Find();
  EXPECT_THAT(found.sources, IsEmpty());
  EXPECT_THAT(found.obstacles, IsEmpty());
}

}  // namespace
}  // namespace joulefarm::agent
