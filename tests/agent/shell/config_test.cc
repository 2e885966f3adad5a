#include "agent/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "agent/power/latency_file.h"
#include "agent/power/tare_file.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  absl::StatusOr<AgentOptions> Options(const std::string& yaml, AgentFlags flags = {}) {
    const std::filesystem::path file = dir_.path() / "agent.yaml";
    std::ofstream(file) << yaml;
    flags.config = file.string();
    return MakeOptions(flags);
  }
  TempDir dir_;
};

TEST_F(ConfigTest, WithoutAFileNothingIsSetAndNothingIsStated) {
  const auto options = MakeOptions({});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->controller, "127.0.0.1:7070");
  EXPECT_FALSE(options->plan.environment.governor);
  EXPECT_FALSE(options->plan.environment.power_mode);
  EXPECT_FALSE(options->plan.environment.cores);
  EXPECT_FALSE(options->plan.reference_temp_c);
  EXPECT_EQ(options->plan.power_path, "");
  EXPECT_TRUE(options->plan.operator_stated.empty());
}

TEST_F(ConfigTest, ThePlansSettings) {
  const auto options = Options(
      "environment: {governor: performance, power_mode: 2, cores: \"0,2-3\"}\n"
      "reference_temp_c: 41.5\n"
      "power_path: battery_bypass\n"
      "operator: {ambient_c: \"21.5\", fan: \"off\"}\n"
      "power_channel: VDD_IN\n");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->plan.environment.governor, "performance");
  EXPECT_EQ(options->plan.environment.power_mode, 2);
  EXPECT_EQ(options->plan.environment.cores, "0,2-3");
  EXPECT_EQ(options->plan.reference_temp_c, 41.5);
  EXPECT_EQ(options->plan.power_path, "battery_bypass");
  EXPECT_EQ(options->plan.operator_stated,
            (std::map<std::string, std::string>{{"ambient_c", "21.5"}, {"fan", "off"}}));
  EXPECT_EQ(options->power.channel, "VDD_IN");
}

TEST_F(ConfigTest, WhatIsStatedOfMeters) {
  const auto options = Options(
      "id: edge\n"
      "meter: {agent: edge, serial: A1, channel: bench}\n"
      "meters:\n"
      "  - {serial: A1, rate_hz: 100, reversed: true, gain: 1.01, gain_u: 0.001,\n"
      "     sense_point: device, cable_ohm: 0.05}\n"
      "  - {model: ppk2, supply_v: 3.7, supply_u_v: 0.05, mode: source_meter}\n"
      "  - {model: monsoon, supply_v: 4.2, usb_pass_through: off}\n"
      "  - {model: um25c, node: /dev/rfcomm0}\n");
  ASSERT_TRUE(options.ok()) << options.status();
  const MeterConfig& meter = options->power.meter;
  EXPECT_EQ(meter.device.agent, "");  // itself
  EXPECT_EQ(meter.device.serial, "A1");
  EXPECT_EQ(options->power.channel, "bench");
  ASSERT_EQ(meter.meters.size(), 4U);
  EXPECT_EQ(meter.meters[0].serial, "A1");
  EXPECT_EQ(meter.meters[0].rate_hz, 100);
  EXPECT_TRUE(meter.meters[0].negate);
  EXPECT_EQ(meter.meters[0].gain, 1.01);
  EXPECT_EQ(meter.meters[0].gain_u, 0.001);
  EXPECT_EQ(meter.meters[0].sense_point, "device");
  EXPECT_EQ(meter.meters[0].cable_ohm, 0.05);
  EXPECT_EQ(meter.meters[0].supply_v, std::nullopt);
  EXPECT_EQ(meter.meters[1].model, "ppk2");
  EXPECT_EQ(meter.meters[1].supply_v, 3.7);
  EXPECT_EQ(meter.meters[1].supply_u_v, 0.05);
  EXPECT_EQ(meter.meters[1].mode, "source_meter");
  EXPECT_EQ(meter.meters[2].usb_pass_through, "off");
  EXPECT_EQ(meter.meters[3].model, "um25c");
  EXPECT_EQ(meter.meters[3].node, "/dev/rfcomm0");
  EXPECT_FALSE(meter.meters[3].negate);
}

TEST_F(ConfigTest, AMeterThatIsAProgramIsKnownByItAndByThisHost) {
  const auto options = Options(
      "meters:\n"
      "  - {model: tegrastats}\n"
      "  - {model: dumpsys-battery, serial: P1, command: [adb, -s, P1, shell, dumpsys, "
      "battery]}\n");
  ASSERT_TRUE(options.ok()) << options.status();
  const std::vector<MeterSettings>& meters = options->power.meter.meters;
  ASSERT_EQ(meters.size(), 2U);
  EXPECT_THAT(meters[0].node, testing::StartsWith("tegrastats@"));
  EXPECT_THAT(meters[0].command, testing::IsEmpty());
  EXPECT_THAT(meters[1].node, testing::StartsWith("adb -s P1 shell dumpsys battery@"));
  EXPECT_THAT(meters[1].command,
              testing::ElementsAre("adb", "-s", "P1", "shell", "dumpsys", "battery"));
}

TEST_F(ConfigTest, WhatCannotBeOfAMeterIsSaidWithItsPlace) {
  const auto wrong = [&](const std::string& meter) {
    return std::string(Options("meters:\n  - " + meter + "\n").status().message());
  };
  EXPECT_THAT(wrong("{model: ppk2}"), testing::AllOf(HasSubstr("agent.yaml:2:"),
                                                     HasSubstr("supply_v: Nordic Power Profiler")));
  EXPECT_THAT(wrong("{model: ppk2, mode: source_meter}"), HasSubstr("state supply_v, 0.8 to 5 V"));
  EXPECT_THAT(wrong("{model: monsoon, usb_pass_through: sometimes}"), HasSubstr("off"));
  EXPECT_THAT(wrong("{model: tegrastats, node: /dev/ttyUSB0}"), HasSubstr("hangs on none"));
  EXPECT_THAT(wrong("{model: tegrastats, command: [tegrastats]}"), HasSubstr("{interval_ms}"));
}

TEST_F(ConfigTest, LatenciesAndTheIdOfTheStateDirectory) {
  AgentFlags flags;
  flags.state = dir_.path().string();
  const MeterLatencies latencies{{"meter:km003c:A1",
                                  {.model = "km003c",
                                   .latency_ns = 1'500'000,
                                   .latency_u_ns = 400'000,
                                   .taken_at = "2026-11-21T19:00:00Z"}}};
  ASSERT_TRUE(WriteLatencies(LatencyFile(dir_.path()), latencies).ok());
  EXPECT_EQ(MakeOptions(flags)->power.meter.latencies, latencies);
  EXPECT_EQ(MakeOptions(flags)->power.meter.agent_id, "") << "no agent has run there yet";
  std::ofstream(dir_.path() / "agent_id") << "lab-7\n";
  EXPECT_EQ(MakeOptions(flags)->power.meter.agent_id, "lab-7");
  flags.id = "edge";
  EXPECT_EQ(MakeOptions(flags)->power.meter.agent_id, "edge");
  std::ofstream(LatencyFile(dir_.path())) << "{";
  EXPECT_EQ(MakeOptions(flags).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ConfigTest, TaresOfTheStateDirectory) {
  AgentFlags flags;
  flags.state = dir_.path().string();
  const std::filesystem::path file = TareFile(dir_.path());
  ASSERT_TRUE(
      WriteTares(file,
                 {{"meter:km003c:A1",
                   {.model = "km003c", .current_a = 0.002, .taken_at = "2026-11-21T19:00:00Z"}}})
          .ok());
  const auto options = MakeOptions(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->power.meter.tares.at("meter:km003c:A1").current_a, 0.002);
  std::ofstream(file) << "{";
  const auto damaged = MakeOptions(flags);
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr("tares.json are damaged"));
}

TEST_F(ConfigTest, AMeterOfAnotherAgent) {
  const auto options = Options("id: edge\nmeter: {agent: bench, channel: km003c}\n");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->power.meter.device.agent, "bench");
  EXPECT_EQ(options->power.channel, "");
}

TEST_F(ConfigTest, PowerThatNothingMeasuresIsThereOnlyWhereItIsConfigured) {
  const auto without = Options("power_channel: VDD_IN\n");
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_FALSE(without->power.simulated);
  EXPECT_FALSE(without->power.replay);
  const auto with = Options(
      "simulated_power: {idle_w: 3, busy_w: 12, rate_hz: 5000}\n"
      "replay_power: {file: /data/trace.csv, loop: false}\n");
  ASSERT_TRUE(with.ok()) << with.status();
  ASSERT_TRUE(with->power.simulated);
  EXPECT_EQ(with->power.simulated->watts, 3);
  EXPECT_EQ(with->power.simulated->busy_watts, 12);
  EXPECT_EQ(with->power.simulated->rate_hz, 5000);
  ASSERT_TRUE(with->power.replay);
  EXPECT_EQ(with->power.replay->file, "/data/trace.csv");
  EXPECT_FALSE(with->power.replay->loop);
  const auto defaults = Options("simulated_power: {}\nreplay_power: {file: x}\n");
  ASSERT_TRUE(defaults.ok()) << defaults.status();
  EXPECT_EQ(defaults->power.simulated->busy_watts, std::nullopt);
  EXPECT_TRUE(defaults->power.replay->loop);
}

TEST_F(ConfigTest, FlagsWinOverTheFile) {
  AgentFlags flags;
  flags.controller = "127.0.0.1:9";
  flags.id = "b";
  const auto options = Options("controller: 127.0.0.1:8\nid: a\n", flags);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->controller, "127.0.0.1:9");
  EXPECT_EQ(options->id, "b");
}

TEST_F(ConfigTest, ARootThatIsNotThereIsRefused) {
  AgentFlags flags;
  flags.state = dir_.path().string();
  flags.root = dir_.path().string();
  EXPECT_TRUE(MakeOptions(flags).ok());
  flags.root = (dir_.path() / "none").string();
  const absl::Status missing = MakeOptions(flags).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(missing.message()),
            "--root " + flags.root +
                ": there is no such directory; name the directory that has proc and sys in it, or "
                "leave --root out");
  flags.root = (dir_.path() / "file").string();
  std::ofstream(flags.root) << "text";
  EXPECT_THAT(std::string(MakeOptions(flags).status().message()), HasSubstr("is no directory;"));
  flags.root = "";
  EXPECT_EQ(MakeOptions(flags).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ConfigTest, MistakesAreNamedWithTheirPlace) {
  for (const auto& [yaml, place, word] :
       {std::tuple{"environment:\n  cores: \"3-1\"\n", ":2:10: ", "\"3-1\""},
        std::tuple{"power_path: charger\n", ":1:13: ", "charger"},
        std::tuple{"environment: {governer: x}\n", ":1:15: ", "governer"}}) {
    const absl::Status status = Options(yaml).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << yaml;
    EXPECT_THAT(std::string(status.message()), HasSubstr(place)) << yaml;
    EXPECT_THAT(std::string(status.message()), HasSubstr(word)) << yaml;
  }
}

}  // namespace
}  // namespace joulefarm::agent
