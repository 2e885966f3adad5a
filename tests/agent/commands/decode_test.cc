#include "agent/commands/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "agent/power/meter/registry.h"

namespace joulefarm::agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Decoded {
  int code = 0;
  std::string out;
  std::string err;
};

Decoded Decode(const std::string& model, const std::string& input) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  Decoded run;
  run.code = DecodeFrames(model, in, out, err);
  run.out = out.str();
  run.err = err.str();
  return run;
}

std::string Hex(const std::string& text) { return absl::BytesToHexString(text); }

// As `xxd -p`: pieces of 30 bytes.
std::string Dump(const std::string& text, std::size_t piece = 30) {
  std::string dump;
  for (std::size_t at = 0; at < text.size(); at += piece)
    absl::StrAppend(&dump, Hex(text.substr(at, piece)), "\n");
  return dump;
}

constexpr char kMonsoonZero[] = "0000200101f403e801fe03f2000a001441a09c400010";
constexpr char kMonsoonReference[] = "000020014e20c3504e2ac35a0bb80fa041a09c400030";
constexpr char kMonsoonMeasurement[] = "0300210103847530 01F403E8 000A0014 41A09C40 0000";

TEST(DecodeTest, FramesOfABusCapture) {
  const Decoded run = Decode(
      "monsoon", absl::StrCat("# a capture\n\n", kMonsoonZero, "\n", kMonsoonReference,
                              "  # reference\n   \n", "0000 2001 03847530\n", kMonsoonMeasurement));
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out,
            "{\"lost\":1}\n"
            "{\"error\":\"a packet of 8 bytes, not 22 to 64\"}\n"
            "{\"lost\":3}\n"
            "{\"voltage_v\":4.2,\"current_a\":0.02159747882004695,\"power_w\":0.09070941104419719,"
            "\"t_ns\":1200000,\"usb_voltage_v\":5.0,\"usb_current_a\":-1.862815147494131e-05}\n");
  EXPECT_EQ(run.err, "");
}

TEST(DecodeTest, WhatIsNoHexIsSaidAndTheRestGoesOn) {
  const Decoded run =
      Decode("tegrastats", absl::StrCat("zz\n123\n", Hex("VDD_IN 1383/1383"), "\n"));
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out,
            "{\"error\":\"line 1, column 1: \\\"z\\\" is no hexadecimal digit\"}\n"
            "{\"error\":\"line 2, half a byte at the end\"}\n"
            "{\"power_w\":1.383,\"VDD_IN_w\":1.383}\n");
}

TEST(DecodeTest, TextLineByLineWithEndsOrWithout) {
  const std::string both =
      "{\"power_w\":1.0,\"VDD_IN_w\":1.0}\n{\"power_w\":2.0,\"VDD_IN_w\":2.0}\n";
  EXPECT_EQ(
      Decode("tegrastats", Hex("VDD_IN 1000/1000") + "\n" + Hex("VDD_IN 2000/2000") + "\n").out,
      both);
  EXPECT_EQ(
      Decode("tegrastats", Hex("VDD_IN 1000/1000\n") + "\n" + Hex("VDD_IN 2000/2000\n") + "\n").out,
      both);
  EXPECT_EQ(Decode("tegrastats", Hex("VDD_IN 1000/1000\nVDD_IN 2000/2000")).out, both);
}

TEST(DecodeTest, ATextAsXxdCutsIt) {
  const std::string text =
      "RAM 4/8MB CPU [1%@729] VDD_IN 1000mW/1000mW VDD_SOC 1mW/1mW\n"
      "RAM 4/8MB CPU [1%@729] VDD_IN 2000mW/1000mW VDD_SOC 1mW/1mW\n";
  const std::string expected = Decode("tegrastats", Hex(text)).out;
  EXPECT_THAT(expected, AllOf(HasSubstr("\"power_w\":1.0"), HasSubstr("\"power_w\":2.0")));
  for (const std::size_t piece : {16, 30, 32}) {
    EXPECT_EQ(Decode("tegrastats", Dump(text, piece)).out, expected) << piece;
  }
  const std::string one = text.substr(0, text.find('\n'));
  EXPECT_EQ(Decode("tegrastats", Dump(one)).out, Decode("tegrastats", Hex(one)).out);
}

TEST(DecodeTest, ABlockEndsWithTheInput) {
  EXPECT_EQ(Decode("odpm", Hex("t=1000") + "\n" + Hex("CH0(T=1000)[CPU], 5000000") + "\n" +
                               Hex("CH1(T=1000)[GPU], x") + "\n")
                .out,
            "{\"error\":\"no rail and its energy: \\\"CH1(T=1000)[GPU], x\\\"\"}\n"
            "{\"t_ns\":1000000000,\"CPU_j\":5.0}\n");
}

TEST(DecodeTest, ARefusedLineInTheLastFrameHidesNothingBehindIt) {
  EXPECT_EQ(Decode("tegrastats", Hex("VDD_IN 1000/1\nwhat\nwhat\nVDD_IN 2000/2")).out,
            "{\"error\":\"no line of tegrastats: \\\"what\\\"\"}\n"
            "{\"error\":\"no line of tegrastats: \\\"what\\\"\"}\n"
            "{\"power_w\":1.0,\"VDD_IN_w\":1.0}\n"
            "{\"power_w\":2.0,\"VDD_IN_w\":2.0}\n");
}

TEST(DecodeTest, AnUnknownModelNamesTheOthers) {
  const Decoded run = Decode("tegrastat", "00\n");
  EXPECT_EQ(run.code, 2);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("there is no meter model \"tegrastat\"; did you mean "
                                 "\"tegrastats\"?\nmodels: "));
  EXPECT_THAT(run.err, AllOf(HasSubstr("monsoon"), HasSubstr("dumpsys-battery")));
  EXPECT_THAT(Decode("", "").err, HasSubstr("there is no meter model \"\"\nmodels: "));
}

TEST(DecodeTest, NothingInNothingOut) {
  for (const MeterModel& model : MeterModels()) {
    const Decoded run = Decode(model.name, "\n# nothing\n");
    EXPECT_EQ(run.code, 0) << model.name;
    EXPECT_EQ(run.out, "") << model.name;
  }
}

TEST(DecodeTest, EveryModelStandsNoise) {
  std::string noise;
  for (int i = 0; i < 200; ++i) absl::StrAppend(&noise, Hex(std::string(1 + i % 70, '\xAA')), "\n");
  for (const MeterModel& model : MeterModels()) {
    const Decoded run = Decode(model.name, noise);
    EXPECT_EQ(run.code, 0) << model.name;
    EXPECT_EQ(run.out.find("power_w"), std::string::npos) << model.name;
  }
}

}  // namespace
}  // namespace joulefarm::agent
