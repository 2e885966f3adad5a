#include <fnmatch.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "agent/power/meter/registry.h"

namespace joulefarm::agent {
namespace {

// The attributes that one line of the rules asks for, by name; any of the patterns will do.
using Rule = std::map<std::string, std::vector<std::string>>;

std::vector<Rule> Rules() {
  std::ifstream file("deploy/udev/60-joulefarm-serial.rules");
  EXPECT_TRUE(file.good()) << "run from the source folder";
  const std::regex attribute(R"re(ATTRS\{(\w+)\}=="([^"]*)")re");
  std::vector<Rule> rules;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    Rule rule;
    for (std::sregex_iterator at(line.begin(), line.end(), attribute), end; at != end; ++at) {
      const std::vector<std::string> patterns = absl::StrSplit((*at)[2].str(), '|');
      rule[(*at)[1]] = patterns;
    }
    if (!rule.empty()) rules.push_back(rule);
  }
  return rules;
}

bool Opens(const Rule& rule, const UsbDevice& device) {
  const std::map<std::string, std::string> has = {
      {"idVendor", absl::StrFormat("%04x", device.vendor)},
      {"idProduct", absl::StrFormat("%04x", device.product)},
      {"manufacturer", device.manufacturer},
      {"product", device.product_name},
  };
  return std::all_of(rule.begin(), rule.end(), [&](const auto& asked) {
    const std::string& value = has.at(asked.first);
    return std::any_of(asked.second.begin(), asked.second.end(), [&](const std::string& pattern) {
      return fnmatch(pattern.c_str(), value.c_str(), 0) == 0;
    });
  });
}

bool Known(const UsbDevice& device) {
  const std::vector<MeterModel>& models = MeterModels();
  return std::any_of(models.begin(), models.end(), [&](const MeterModel& model) {
    return model.link == LinkKind::kSerial && model.match && model.match(device) == UsbMatch::kYes;
  });
}

TEST(SerialRulesTest, UdevOpensWhatIsKnownAndNothingElse) {
  const std::vector<Rule> rules = Rules();
  ASSERT_GE(rules.size(), 3U);
  int known = 0;
  for (const std::uint16_t vendor : {0x0483, 0x28E9, 0x1915, 0x1A86, 0x0403}) {
    for (const std::uint16_t product : {0xFFFF, 0xFFFE, 0x374B, 0x5740, 0xC00A, 0x018A, 0x7523}) {
      for (const char* manufacturer :
           {"", "STMicroelectronics", "RuiDeng", "GDMicroelectronics", "AVHzY"}) {
        for (const char* name :
             {"", "AVHzY CT-3", "AVHzY C3 in Application Mode", "Shizuku YK003C", "KT002",
              "ATORCH UT18", "Virtual ComPort", "TC66", "PPK2", "USB Serial"}) {
          const UsbDevice device{.vendor = vendor,
                                 .product = product,
                                 .manufacturer = manufacturer,
                                 .product_name = name};
          const bool opened = std::any_of(rules.begin(), rules.end(),
                                          [&](const Rule& rule) { return Opens(rule, device); });
          EXPECT_EQ(opened, Known(device))
              << absl::StrFormat("%04x:%04x \"%s\" \"%s\"", vendor, product, manufacturer, name);
          if (opened) ++known;
        }
      }
    }
  }
  EXPECT_GE(known, 30) << "the loop tries what is known";
}

// A debugger with the ids of the CT-3 family, and its loader.
TEST(SerialRulesTest, NeitherDebuggersNorLoaders) {
  for (const UsbDevice& device :
       {UsbDevice{.vendor = 0x0483, .product = 0x374B, .product_name = "STM32 STLink"},
        UsbDevice{.vendor = 0x28E9, .product = 0x0189, .manufacturer = "GDMicroelectronics"}}) {
    for (const Rule& rule : Rules()) EXPECT_FALSE(Opens(rule, device)) << device.product_name;
    EXPECT_FALSE(Known(device));
  }
}

}  // namespace
}  // namespace joulefarm::agent
