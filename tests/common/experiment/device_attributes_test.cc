#include "common/experiment/device_attributes.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

using testing::Pair;
using testing::UnorderedElementsAre;

TEST(DeviceAttributes, TellsWhatIsKnown) {
  v1::DeviceFacts facts;
  facts.set_kind(v1::DEVICE_KIND_JETSON);
  facts.set_os("linux");
  facts.set_cores(6);
  facts.set_ram_mib(7620);
  facts.set_arch("aarch64");
  facts.set_soc("Orin Nano");
  v1::Engine* engine = facts.add_engines();
  engine->set_name("llama.cpp");
  engine->set_version("b5000");
  EXPECT_THAT(DeviceAttributes("dev-1", "agent-1", facts, {{"zone", "lab1"}}),
              UnorderedElementsAre(Pair("id", "dev-1"), Pair("agent", "agent-1"),
                                   Pair("kind", "jetson"), Pair("os", "linux"), Pair("cores", "6"),
                                   Pair("ram_mib", "7620"), Pair("arch", "aarch64"),
                                   Pair("soc", "Orin Nano"), Pair("engine.llama.cpp", "b5000"),
                                   Pair("zone", "lab1"), Pair("label.zone", "lab1")));
}

TEST(DeviceAttributes, WhatIsNotKnownIsAbsent) {
  EXPECT_THAT(DeviceAttributes("d", "a", v1::DeviceFacts(), {}),
              UnorderedElementsAre(Pair("id", "d"), Pair("agent", "a")));
}

TEST(DeviceAttributes, LabelsDoNotReplaceFacts) {
  v1::DeviceFacts facts;
  facts.set_os("linux");
  const Attributes attributes = DeviceAttributes("d", "a", facts, {{"os", "mine"}});
  EXPECT_EQ(attributes.at("os"), "linux");
  EXPECT_EQ(attributes.at("label.os"), "mine");
}

}  // namespace
}  // namespace joulefarm
