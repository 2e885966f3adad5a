#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <utility>

#include "agent/power/meter/registry.h"
#include "agent/power/switch/ykush.h"
#include "tests/agent/power/meter/scripted_link.h"

namespace joulefarm::agent {
namespace {

using Ids = std::set<std::pair<std::uint16_t, std::uint16_t>>;

// What the rules open to the group.
Ids RuleIds() {
  Ids ids;
  std::ifstream rules("deploy/udev/60-joulefarm-hid.rules");
  EXPECT_TRUE(rules.good()) << "run from the source folder";
  const std::regex rule(R"re(ATTRS\{idVendor\}=="(\w+)", ATTRS\{idProduct\}=="([\w|]+)".*GROUP)re");
  const std::regex product(R"(\w+)");
  for (std::string line; std::getline(rules, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, rule)) continue;
    const auto vendor = static_cast<std::uint16_t>(std::stoul(match[1], nullptr, 16));
    const std::string products = match[2];
    for (std::sregex_iterator at(products.begin(), products.end(), product), end; at != end; ++at) {
      ids.emplace(vendor, static_cast<std::uint16_t>(std::stoul(at->str(), nullptr, 16)));
    }
  }
  return ids;
}

// Every id that anything takes for its own, whatever the device calls itself.
Ids KnownIds() {
  Ids ids;
  for (std::uint32_t id = 0; id < 0x10000; ++id) {
    for (const std::uint16_t vendor : {0x0416, 0x0472, 0x0483, 0x04D8, 0x0716, 0x2E3C}) {
      UsbDevice device = HidDevice(vendor, static_cast<std::uint16_t>(id));
      device.product_name = "POWER-Z YKUSH";  // ids that many devices have need a name, too
      bool known = FindYkush(device).has_value();
      for (const MeterModel& model : MeterModels()) {
        known = known || (model.link == LinkKind::kHid && model.match &&
                          model.match(device) == UsbMatch::kYes);
      }
      if (known) ids.emplace(device.vendor, device.product);
    }
  }
  return ids;
}

TEST(HidRulesTest, UdevOpensWhatIsKnownAndNothingElse) {
  const Ids rules = RuleIds();
  EXPECT_EQ(rules, KnownIds());
  EXPECT_GE(rules.size(), 20U);
}

}  // namespace
}  // namespace joulefarm::agent
