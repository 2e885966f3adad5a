#include "controller/store/json_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "joulefarm/v1/device.pb.h"
#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::controller {
namespace {

TEST(JsonTextTest, Arrays) {
  EXPECT_EQ(JsonArray(std::vector<std::string>{}), "[]");
  EXPECT_EQ(JsonArray(std::vector<std::string>{"a", "b"}), "[\"a\",\"b\"]");
}

TEST(JsonTextTest, ParamsKeepTheirOrderAndTypes) {
  v1::JobSpec spec;
  EXPECT_EQ(JsonParams(spec), "{}");
  for (const auto& [key, json] :
       {std::pair("threads", "2"), std::pair("model", "\"tiny\""), std::pair("fast", "true")}) {
    v1::Param* param = spec.add_params();
    param->set_key(key);
    param->set_json(json);
  }
  EXPECT_EQ(JsonParams(spec), "{\"threads\":2,\"model\":\"tiny\",\"fast\":true}");
}

TEST(JsonTextTest, AMessageIsAnObjectWithNullsForWhatIsAbsent) {
  v1::DeviceFacts facts;
  facts.set_kind(v1::DEVICE_KIND_LAPTOP);
  facts.set_ram_mib(9'007'199'254);
  facts.add_engines()->set_name("x");
  EXPECT_EQ(
      JsonMessage(facts),
      "{\"kind\":\"laptop\",\"cpu_model\":null,\"cores\":null,\"ram_mib\":9007199254,\"os\":null,"
      "\"os_version\":null,\"kernel\":null,\"arch\":null,\"engines\":[{\"name\":\"x\",\"version\":"
      "null,"
      "\"path\":null}],\"hostname\":null,\"soc\":null,\"power_channels\":[],\"obstacles\":[]}");
  v1::DeviceFacts back;
  ASSERT_TRUE(ParseJsonMessage(JsonMessage(facts), back));
  EXPECT_EQ(back.SerializeAsString(), facts.SerializeAsString());
}

TEST(JsonTextTest, WhatAChannelIsNotPartOfIsNull) {
  v1::ChannelInfo channel;
  channel.set_name("BAT0");
  channel.set_scope(v1::SCOPE_BATTERY);
  const std::string json = JsonMessages(std::vector<v1::ChannelInfo>{channel});
  for (const char* absent : {"parent", "clock", "meter", "description", "quantity", "gain_u"}) {
    EXPECT_NE(json.find(absl::StrCat("\"", absent, "\":null")), std::string::npos) << json;
  }
  std::vector<v1::ChannelInfo> back;
  ASSERT_TRUE(ParseJsonChannels(json, back));
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0].SerializeAsString(), channel.SerializeAsString());
}

TEST(JsonTextTest, WhatOlderControllersWroteOfEmptyTextsIsRead) {
  std::vector<v1::ChannelInfo> back;
  ASSERT_TRUE(ParseJsonChannels("[{\"name\":\"x\",\"parent\":\"\",\"clock\":\"\"}]", back));
  EXPECT_EQ(back.at(0).name(), "x");
  EXPECT_EQ(back.at(0).parent(), "");
}

TEST(JsonTextTest, NumbersAreAsShortAsTheyCanBe) {
  v1::ChannelInfo channel;
  channel.set_scale(1e-6);
  channel.set_nominal_hz(0.1);
  EXPECT_NE(JsonMessage(channel).find("\"scale\":1e-06,\"nominal_hz\":0.1,"), std::string::npos)
      << JsonMessage(channel);
}

TEST(JsonTextTest, WhatIsNotJsonIsRefused) {
  v1::DeviceFacts facts;
  EXPECT_FALSE(ParseJsonMessage("{", facts));
  std::map<std::string, std::string> entries;
  EXPECT_FALSE(ParseJsonObject("[1]", entries));
  EXPECT_TRUE(ParseJsonObject("{\"a\":\"b\"}", entries));
  EXPECT_EQ(entries.at("a"), "b");
}

}  // namespace
}  // namespace joulefarm::controller
