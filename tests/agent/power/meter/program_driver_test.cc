#include "agent/power/meter/program_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "agent/power/meter/dumpsys_battery.h"
#include "agent/power/meter/powermetrics.h"
#include "agent/power/meter/tegrastats.h"
#include "tests/agent/power/meter/scripted_link.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr std::int64_t kMs = ScriptedLink::kMs;
constexpr std::int64_t kStartNs = 1'000'000'000;

ProgramMeter Meter(const MeterModel& model, bool negate = false) {
  return {model.make_decoder(), model.max_rate_hz, model.program->check, negate};
}

ScriptedLink::Report Text(const std::string& text) {
  return ScriptedLink::Report(text.begin(), text.end());
}

std::string Jetson(int milliwatts) {
  return absl::StrCat("RAM 1/2MB VDD_IN ", milliwatts, "mW/1mW VDD_CPU_GPU_CV 500mW/1mW VDD_SOC ",
                      "300mW/1mW\n");
}

class PrintingDriverTest : public testing::Test {
 protected:
  // A tenth of a second between lines, the first after one.
  void Start(double rate_hz = 10) { ASSERT_TRUE(driver_.Start(link_, rate_hz).ok()); }
  void Print(std::int64_t after_start_ms, const std::string& text) {
    link_.Arrive(kStartNs + after_start_ms * kMs, Text(text));
  }
  absl::Status Step() {
    batch_ = MeterBatch();
    return driver_.Step(link_, batch_);
  }

  ScriptedLink link_;
  PrintingDriver driver_{Meter(TegrastatsModel()), link_.Clock()};
  MeterBatch batch_;
};

TEST_F(PrintingDriverTest, ALineIsASampleOfItsArrival) {
  Print(100, Jetson(3913));
  Print(200, Jetson(4000));
  Start();
  EXPECT_THAT(link_.written(), SizeIs(1)) << "that is what starts the program";
  ASSERT_TRUE(Step().ok());
  ASSERT_THAT(batch_.samples, SizeIs(1));
  EXPECT_EQ(batch_.samples[0].power_w, 3.913);
  EXPECT_THAT(batch_.samples[0].parts,
              ElementsAre(Pair("VDD_CPU_GPU_CV", 0.5), Pair("VDD_SOC", 0.3)));
  EXPECT_EQ(batch_.arrived_ns, kStartNs + 100 * kMs);
  EXPECT_EQ(batch_.asked_ns, std::nullopt);
  ASSERT_TRUE(Step().ok());
  ASSERT_THAT(batch_.samples, SizeIs(1));
  EXPECT_EQ(batch_.arrived_ns, kStartNs + 200 * kMs);
  EXPECT_EQ(batch_.lost, 0);
}

TEST_F(PrintingDriverTest, OfSeveralLinesAtOnceOnlyTheLastHasATime) {
  for (int i = 1; i <= 3; ++i) Print(100, Jetson(1000 * i));
  Start();
  ASSERT_TRUE(Step().ok());
  ASSERT_THAT(batch_.samples, SizeIs(1));
  EXPECT_EQ(batch_.samples[0].power_w, 3);
  EXPECT_EQ(batch_.lost, 2);
  EXPECT_THAT(batch_.refusal, HasSubstr("of 3 samples at once"));
}

TEST_F(PrintingDriverTest, ALineThatCameLateMayHaveBeenReadAnyTime) {
  Print(100, Jetson(1000));
  Print(260, Jetson(2000));
  Print(360, Jetson(3000));
  Start();
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, SizeIs(1));
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, IsEmpty());
  EXPECT_EQ(batch_.lost, 1);
  EXPECT_THAT(batch_.refusal, HasSubstr("160 ms after the one before, not within 150 ms"));
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, SizeIs(1));
}

TEST_F(PrintingDriverTest, GarbageIsRefusedAndWhatFollowsItIsNotLate) {
  Print(100, "tegrastats: something is wrong\n");
  Print(200, Jetson(2000));
  Start();
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, IsEmpty());
  EXPECT_EQ(batch_.rejected, 1);
  EXPECT_THAT(batch_.refusal, HasSubstr("no line of tegrastats"));
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, SizeIs(1));
}

TEST_F(PrintingDriverTest, ABoardWithoutATotalHasNoPowerAndSaysSo) {
  Print(100, "RAM 1/2MB VDD_SOC 300mW/1mW\n");
  Start();
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, IsEmpty());
  EXPECT_EQ(batch_.rejected, 1);
  EXPECT_EQ(batch_.lost, 1);
  EXPECT_THAT(batch_.refusal, HasSubstr("whole board"));
}

TEST_F(PrintingDriverTest, SilenceIsNothingAndTheEndIsAnError) {
  Print(300, Jetson(1000));
  link_.Break(kStartNs + 310 * kMs, absl::OutOfRangeError("tegrastats has ended"));
  Start(1);
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, IsEmpty());
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(batch_.samples, SizeIs(1)) << "what it said last counts";
  const absl::Status ended = Step();
  EXPECT_TRUE(absl::IsUnavailable(ended)) << ended;
  EXPECT_THAT(std::string(ended.message()), HasSubstr("has ended"));
}

TEST_F(PrintingDriverTest, AFloodDoesNotKeepAStep) {
  for (int i = 0; i < 1000; ++i) Print(100 + i, Jetson(1000));
  Start();
  ASSERT_TRUE(Step().ok());
  EXPECT_LE(link_.now_ns(), kStartNs + 320 * kMs);
}

TEST(PowermetricsProgramTest, ABlockIsASampleWhenItIsThere) {
  ScriptedLink link;
  PrintingDriver driver(Meter(PowermetricsModel()), link.Clock());
  for (const char* line :
       {"*** Sampled system activity (x) (1000.00ms elapsed) ***\n", "CPU Power: 400 mW\n",
        "GPU Power: 100 mW\n", "Combined Power (CPU + GPU + ANE): 500 mW\n"})
    link.Arrive(kStartNs + 1000 * kMs, Text(line));
  ASSERT_TRUE(driver.Start(link, 1).ok());
  MeterBatch batch;
  while (batch.samples.empty() && link.now_ns() < kStartNs + 3000 * kMs)
    ASSERT_TRUE(driver.Step(link, batch).ok());
  ASSERT_THAT(batch.samples, SizeIs(1));
  EXPECT_EQ(batch.samples[0].power_w, 0.5);
  EXPECT_EQ(batch.arrived_ns, kStartNs + 1000 * kMs);
}

class RunDriverTest : public testing::Test {
 protected:
  RunDriverTest() {
    link_.on_write = [this](const ScriptedLink::Report&) {
      const std::int64_t now_ns = link_.now_ns();
      if (!output_.empty()) link_.Arrive(now_ns + took_ns_, Text(output_));
      link_.Break(now_ns + took_ns_ + kMs, end_);
    };
  }
  // Until a reading is done.
  absl::Status Read() {
    batch_ = MeterBatch();
    const std::size_t runs = link_.written().size();
    absl::Status step;
    do {
      // The program that ended does not end the next one.
      if (link_.written().size() == runs) link_.Break(INT64_MAX, end_);
      step = driver_.Step(link_, batch_);
    } while (step.ok() && batch_.samples.empty() && batch_.rejected == 0 && batch_.lost == 0 &&
             link_.now_ns() < kStartNs + 60'000 * kMs);
    return step;
  }

  ScriptedLink link_;
  RunDriver driver_{Meter(DumpsysBatteryModel()), link_.Clock()};
  std::string output_ = "status: 3\nvoltage: 4000\ncurrent now: -500000\n";
  std::int64_t took_ns_ = 40 * kMs;
  absl::Status end_ = absl::OutOfRangeError("dumpsys has ended");
  MeterBatch batch_;
};

TEST_F(RunDriverTest, ARunIsAReadingInItsMiddle) {
  ASSERT_TRUE(driver_.Start(link_, 1).ok());
  ASSERT_TRUE(Read().ok());
  ASSERT_THAT(batch_.samples, SizeIs(1));
  EXPECT_DOUBLE_EQ(batch_.samples[0].power_w.value_or(0), 2);
  EXPECT_EQ(batch_.asked_ns, kStartNs);
  EXPECT_EQ(batch_.arrived_ns, kStartNs + 40 * kMs);
  ASSERT_TRUE(Read().ok());
  ASSERT_THAT(batch_.samples, SizeIs(1));
  EXPECT_EQ(batch_.asked_ns, kStartNs + 1000 * kMs) << "the next is a period later";
  EXPECT_LE(link_.longest_wait_ns(), 250 * kMs);
}

TEST_F(RunDriverTest, OneThatTookLongHasNoTime) {
  took_ns_ = 1'100 * kMs;
  ASSERT_TRUE(driver_.Start(link_, 1).ok());
  ASSERT_TRUE(Read().ok());
  EXPECT_THAT(batch_.samples, IsEmpty());
  EXPECT_EQ(batch_.lost, 1);
  EXPECT_THAT(batch_.refusal, HasSubstr("a round trip took 1100 ms"));
}

TEST_F(RunDriverTest, OneThatHangsIsBrokenOff) {
  took_ns_ = 20'000 * kMs;
  ASSERT_TRUE(driver_.Start(link_, 1).ok());
  const absl::Status hangs = Read();
  EXPECT_TRUE(absl::IsDeadlineExceeded(hangs)) << hangs;
}

TEST_F(RunDriverTest, OneThatFailsIsAnError) {
  end_ = absl::UnavailableError("adb: exit code 1: device offline");
  output_.clear();
  ASSERT_TRUE(driver_.Start(link_, 1).ok());
  const absl::Status failed = Read();
  EXPECT_TRUE(absl::IsUnavailable(failed)) << failed;
  EXPECT_THAT(std::string(failed.message()), HasSubstr("device offline"));
}

TEST_F(RunDriverTest, OneThatPrintsNothingIsRefused) {
  output_.clear();
  ASSERT_TRUE(driver_.Start(link_, 1).ok());
  ASSERT_TRUE(Read().ok());
  EXPECT_EQ(batch_.rejected, 1);
  EXPECT_EQ(batch_.refusal, "it printed nothing");
}

// What of a gauge is no power of the device.
std::string Refusal(const std::string& output, bool negate = false) {
  const MeterModel model = DumpsysBatteryModel();
  const auto decoder = model.make_decoder();
  auto samples = decoder->Decode(Text(output));
  auto rest = decoder->Finish();
  EXPECT_TRUE(samples.ok() && rest.ok());
  EXPECT_THAT(*rest, SizeIs(1));
  return std::string(model.program->check(rest->at(0), negate).message());
}

TEST(DumpsysProgramTest, OnlyABatteryThatFeedsThePhoneShowsWhatItDraws) {
  const std::string measures = "voltage: 4000\ncurrent now: -500000\n";
  EXPECT_EQ(Refusal("status: 3\n" + measures), "");
  EXPECT_THAT(Refusal("status: 2\n" + measures), HasSubstr("take it off its charger"));
  EXPECT_THAT(Refusal("status: 4\n" + measures), HasSubstr("not discharging"));
  EXPECT_THAT(Refusal(measures), HasSubstr("does not say whether"));
  EXPECT_THAT(Refusal("status: 3\nvoltage: 4000\n"), HasSubstr("no \"current now\""));
}

TEST(DumpsysProgramTest, TheSignOfItsMakerIsStatedAndNotGuessed) {
  const std::string other_way = "status: 3\nvoltage: 4000\ncurrent now: 500000\n";
  EXPECT_THAT(Refusal(other_way), HasSubstr("state reversed: true"));
  EXPECT_EQ(Refusal(other_way, true), "");
  EXPECT_THAT(Refusal("status: 3\nvoltage: 4000\ncurrent now: -500000\n", true),
              HasSubstr("take reversed: true out"));
}

}  // namespace
}  // namespace joulefarm::agent
