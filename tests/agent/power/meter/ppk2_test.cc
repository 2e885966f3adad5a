#include "agent/power/meter/ppk2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "absl/strings/str_replace.h"
#include "agent/power/meter/ppk2_calibration.h"
#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/serial_meter.h"
#include "tests/agent/power/meter/vectors/ppk2.h"

namespace joulefarm::agent {
namespace {

using namespace ppk2;  // NOLINT: the frames this is about

using ::testing::DoubleEq;
using ::testing::HasSubstr;

class Ppk2DecoderTest : public testing::Test {
 protected:
  void Calibrate(const std::string& text = kText) {
    const auto nothing = decoder_->Decode(FromText(text));
    ASSERT_TRUE(nothing.ok()) << nothing.status();
    EXPECT_TRUE(nothing->empty());
  }
  // What came, refusals put aside in `refusal_`.
  std::vector<MeterSample> Decode(const Frame& bytes) {
    auto samples = decoder_->Decode(bytes);
    if (samples.ok()) return *samples;
    refusal_ = std::string(samples.status().message());
    EXPECT_TRUE(absl::IsDataLoss(samples.status()));
    samples = decoder_->Decode({});
    EXPECT_TRUE(samples.ok()) << samples.status();
    return samples.ok() ? *samples : std::vector<MeterSample>();
  }

  std::unique_ptr<MeterDecoder> decoder_ = Ppk2Model().make_decoder();
  std::string refusal_;
};

TEST(Ppk2CalibrationTest, TheRealText) {
  const Ppk2Calibration calibration = ParsePpk2Calibration(kText);
  EXPECT_EQ(calibration.r[0], 1003.3506);
  EXPECT_EQ(calibration.gs[1], 112.7890);
  EXPECT_EQ(calibration.gi[4], 0.9582);
  EXPECT_EQ(calibration.o[2], 64.6020);
  EXPECT_EQ(calibration.s[4], 0.002940743);
  EXPECT_EQ(calibration.i[3], -0.000374119);
  EXPECT_EQ(calibration.ug[3], 1.0);
  EXPECT_EQ(calibration.vdd_mv, 3741);
  EXPECT_EQ(calibration.mode, 2);
  EXPECT_EQ(calibration.hardware, 9173);
}

TEST(Ppk2CalibrationTest, WhatItDoesNotHaveStaysUnknown) {
  const Ppk2Calibration calibration = ParsePpk2Calibration("R0: -nan\r\nR1: nan\r\nGS2: \r\nR9: 1");
  EXPECT_TRUE(std::isnan(calibration.r[0]));
  EXPECT_TRUE(std::isnan(calibration.r[1]));
  EXPECT_TRUE(std::isnan(calibration.gs[2]));
  EXPECT_TRUE(std::isnan(calibration.vdd_mv));
  EXPECT_EQ(calibration.mode, std::nullopt);
  EXPECT_TRUE(std::isnan(Ppk2Amperes(calibration, 1, 1000)));
}

// Nordic's own program gives 0.021454880761611544 uA; the formula with exact numbers differs in the
// eighth digit. All others: the formula in exact rational arithmetic, by another program.
TEST(Ppk2CalibrationTest, CurrentsByTheFormula) {
  Ppk2Calibration calibration = ParsePpk2Calibration(kText);
  const double nordic = 0.021454880761611544e-6;
  EXPECT_NEAR(Ppk2Amperes(calibration, 0, 27), nordic, nordic * 2e-7);
  struct Known {
    std::size_t range;
    std::uint32_t adc;
    double amperes;
  };
  for (const Known& known : {
           Known{0, 27, 2.1454877833381472e-08},
           Known{0, 0, -1.1611062702837373e-06},
           Known{0, 16382, 0.0007163469207095177},
           Known{1, 1000, 0.00043258833732192183},
           Known{2, 2000, 0.009476983533807553},
           Known{3, 500, 0.022214199386734156},
           Known{3, 12000, 1.2440218686773727},
           Known{4, 27, 0.005493090161005973},
           Known{4, 1200, 0.942693878649129},
       }) {
    EXPECT_NEAR(Ppk2Amperes(calibration, known.range, known.adc), known.amperes,
                std::abs(known.amperes) * 1e-9)
        << "range " << known.range << " adc " << known.adc;
  }
  calibration.vdd_mv = 5000;
  EXPECT_NEAR(Ppk2Amperes(calibration, 2, 2000), 0.009483632312807553, 1e-12);
}

std::vector<double> Filtered(const std::vector<std::pair<std::size_t, std::uint32_t>>& readings) {
  const Ppk2Calibration calibration = ParsePpk2Calibration(kText);
  Ppk2SpikeFilter filter;
  std::vector<double> values;
  for (const auto& [range, adc] : readings) {
    values.push_back(filter.Filter(range, Ppk2Amperes(calibration, range, adc)));
  }
  return values;
}

void ExpectValues(const std::vector<double>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(values[i], expected[i], std::abs(expected[i]) * 1e-9) << i;
  }
}

TEST(Ppk2SpikeFilterTest, TheAverageStandsInForThreeSamples) {
  ExpectValues(
      Filtered({{1, 1000}, {1, 1000}, {1, 1000}, {2, 400}, {2, 400}, {2, 400}, {2, 400}, {2, 400}}),
      {0.00043258833732192183, 0.00043258833732192183, 0.00043258833732192183,
       0.0006567154424356258, 0.0008404996686288631, 0.0009912027341073175, 0.0016777389212869439,
       0.0016777389212869439});
}

TEST(Ppk2SpikeFilterTest, ASlowerOneInTheHighestRangeWithoutItsFirstTwo) {
  ExpectValues(
      Filtered(
          {{3, 2000}, {3, 2000}, {4, 300}, {4, 300}, {4, 300}, {4, 300}, {3, 2000}, {3, 2000}}),
      {0.10602890995268457, 0.10602890995268457, 0.10602890995268457, 0.10602890995268457,
       0.1124315593251105, 0.2127397328264499, 0.1346948517229099, 0.12953498220426934});
  ExpectValues(Filtered({{4, 300},
                         {4, 310},
                         {3, 2000},
                         {4, 300},
                         {3, 2000},
                         {4, 300},
                         {4, 300},
                         {4, 300},
                         {4, 300}}),
               {0.2127397328264499, 0.22045643584304583, 0.1946707700744217, 0.20677230550415998,
                0.178715235252509, 0.20072770177107147, 0.20072770177107147, 0.20144842363439416,
                0.2127397328264499});
}

TEST(Ppk2SpikeFilterTest, AnotherChangeBeginsAgain) {
  ExpectValues(Filtered({{1, 1000}, {2, 400}, {1, 1000}, {1, 1000}, {1, 1000}, {1, 1000}}),
               {0.00043258833732192183, 0.0006567154424356258, 0.000616372563515159,
                0.0005832914028003764, 0.0005561648510142546, 0.00043258833732192183});
}

TEST_F(Ppk2DecoderTest, TheDocumentedWords) {
  Calibrate();
  const std::vector<MeterSample> samples = Decode(FromHex("1b00f800 e843fc01 d08700ff ff3f0500"));
  ASSERT_EQ(samples.size(), 3U);
  EXPECT_NEAR(*samples[0].current_a, 2.1454877833381472e-08, 1e-16);
  EXPECT_EQ(More(samples[0], "range"), 0);
  EXPECT_EQ(More(samples[0], "logic_pins"), 0);
  EXPECT_EQ(samples[0].t_ns, 0);
  // The range changes with every word, so averages stand in.
  EXPECT_NEAR(*samples[1].current_a, 7.78834937177693e-05, 1e-13);
  EXPECT_EQ(More(samples[1], "range"), 1);
  EXPECT_EQ(More(samples[1], "logic_pins"), 1);
  EXPECT_EQ(samples[1].t_ns, 10'000);
  EXPECT_NEAR(*samples[2].current_a, 0.0017697215009339303, 1e-12);
  EXPECT_EQ(More(samples[2], "range"), 2);
  EXPECT_EQ(More(samples[2], "logic_pins"), 255);
  EXPECT_EQ(samples[2].t_ns, 20'000);
  EXPECT_THAT(refusal_, HasSubstr("saturated in range 4"));
  EXPECT_EQ(decoder_->TakeLost(), 1) << "a peak that is not known";
}

TEST_F(Ppk2DecoderTest, ASourceKnowsItsVoltageAnAmpereMeterDoesNot) {
  Calibrate();
  const std::vector<MeterSample> source = Decode(Words(Series(0, 3)));
  ASSERT_EQ(source.size(), 3U);
  EXPECT_EQ(source[0].voltage_v, 3.741);
  EXPECT_THAT(*source[0].power_w, DoubleEq(3.741 * *source[0].current_a));
  decoder_ = Ppk2Model().make_decoder();
  Calibrate(absl::StrReplaceAll(kText, {{"mode: 2", "mode: 1"}}));
  const std::vector<MeterSample> ampere = Decode(Words(Series(0, 3)));
  ASSERT_EQ(ampere.size(), 3U);
  EXPECT_EQ(ampere[0].voltage_v, std::nullopt);
  EXPECT_EQ(ampere[0].power_w, std::nullopt);
  EXPECT_EQ(ampere[0].current_a, source[0].current_a);
}

TEST_F(Ppk2DecoderTest, SamplesWithoutCalibrationSayNothing) {
  EXPECT_TRUE(Decode(Words(Series(0, 3))).empty());
  EXPECT_THAT(refusal_, HasSubstr("without the calibration"));
  Calibrate();
  EXPECT_EQ(Decode(Words(Series(0, 3))).size(), 3U);
}

// The line of END may end in another read than END came in.
TEST_F(Ppk2DecoderTest, WhereTheCalibrationIsCutDoesNotMatter) {
  const std::string text = kText;
  for (const std::string& rest : {std::string("\n"), std::string("\r\n")}) {
    for (std::size_t at = 0; at <= rest.size(); ++at) {
      decoder_ = Ppk2Model().make_decoder();
      Calibrate(text.substr(0, text.size() - 1) + rest.substr(0, at));
      // 0x0A begins the first sample, too.
      EXPECT_EQ(Decode(Joined({FromText(rest.substr(at)), Words(Series(0, 5, 10))})).size(), 5U);
      EXPECT_EQ(refusal_, "");
    }
  }
}

TEST_F(Ppk2DecoderTest, StaleSamplesInTheSameReadDoNotHideTheCalibration) {
  const Frame stale = Words(Series(3, 5));
  EXPECT_EQ(Decode(Joined({stale, FromText(kText), Words(Series(0, 5))})).size(), 5U);
  EXPECT_THAT(refusal_, HasSubstr("without the calibration"));
}

TEST_F(Ppk2DecoderTest, AVoltageItCannotSupplyIsNone) {
  Calibrate(absl::StrReplaceAll(kText, {{"VDD: 3741", "VDD: 93741"}}));
  EXPECT_TRUE(Decode(Words(Series(0, 3))).empty());
  EXPECT_EQ(decoder_->TakeLost(), 3);
}

TEST_F(Ppk2DecoderTest, AnUncalibratedRangeIsRefusedTheOthersAreNot) {
  Calibrate(absl::StrReplaceAll(kText, {{"R1: 101.5865", "R1: -nan"}}));
  const std::vector<MeterSample> samples =
      Decode(Words({Word(100, 0, 0), Word(100, 1, 1), Word(100, 0, 2), Word(100, 0, 3)}));
  EXPECT_EQ(samples.size(), 3U);
  EXPECT_THAT(refusal_, HasSubstr("range 1 is not calibrated"));
  EXPECT_EQ(decoder_->TakeLost(), 1);
}

TEST_F(Ppk2DecoderTest, LostSamplesMoveTheClock) {
  Calibrate();
  ASSERT_EQ(Decode(Words(Series(60, 10))).size(), 10U) << "over the counter's end";
  EXPECT_EQ(decoder_->TakeLost(), 0);
  const std::vector<MeterSample> after = Decode(Words(Series(70 + 25, 5)));
  ASSERT_EQ(after.size(), 5U);
  EXPECT_EQ(decoder_->TakeLost(), 25);
  EXPECT_EQ(after[0].t_ns, 350'000) << "the 36th sample";
  EXPECT_EQ(refusal_, "") << "lost, not wrong";
}

TEST_F(Ppk2DecoderTest, ADamagedCounterIsOneRefusal) {
  Calibrate();
  std::vector<std::uint32_t> words = Series(0, 10);
  words[5] ^= 1U << 20U;
  const std::vector<MeterSample> samples = Decode(Words(words));
  ASSERT_EQ(samples.size(), 9U);
  EXPECT_EQ(samples[5].t_ns, 60'000) << "the others keep their time";
  EXPECT_EQ(decoder_->TakeLost(), 1);
  EXPECT_THAT(refusal_, HasSubstr("1 samples refused: their counter is wrong"));
}

TEST_F(Ppk2DecoderTest, AtTheEndNothingConfirmsWhatIsHeldBack) {
  Calibrate();
  EXPECT_EQ(Decode(Words(Series(0, 10))).size(), 10U);
  EXPECT_TRUE(Decode(Words(Series(30, 2))).empty());
  const absl::Status held = decoder_->Finish().status();
  EXPECT_TRUE(absl::IsDataLoss(held)) << held;
  EXPECT_THAT(std::string(held.message()), HasSubstr("2 samples at the end"));
  EXPECT_EQ(decoder_->TakeLost(), 2);
  EXPECT_TRUE(decoder_->Finish().ok());
}

// A byte that is missing: from there on, nothing is what it seems.
TEST_F(Ppk2DecoderTest, OutOfStepGivesNothingMore) {
  Calibrate();
  Frame bytes = Words(Series(0, 200, 1234, 2));
  bytes.erase(bytes.begin() + 401);
  auto samples = decoder_->Decode(bytes);
  EXPECT_THAT(std::string(samples.status().message()), HasSubstr("out of step"));
  EXPECT_EQ(Decode({}).size(), 100U);
  EXPECT_TRUE(Decode(Words(Series(0, 50))).empty());
  EXPECT_THAT(refusal_, HasSubstr("opened again"));
  decoder_->Reset();
  Calibrate();
  EXPECT_EQ(Decode(Words(Series(0, 50))).size(), 50U);
}

TEST_F(Ppk2DecoderTest, ImpossibleWordsAreRefused) {
  Calibrate();
  std::vector<std::uint32_t> words = Series(0, 8);
  words[3] = Word(1000, 6, 3);
  EXPECT_EQ(Decode(Words(words)).size(), 7U);
  EXPECT_THAT(refusal_, HasSubstr("no sample has range 6"));
  words = Series(8, 8);
  words[3] |= 1U << 17U;
  EXPECT_EQ(Decode(Words(words)).size(), 7U);
  words = Series(16, 8);
  words[3] = Word(16000, 4, 19);
  EXPECT_EQ(Decode(Words(words)).size(), 7U);
  EXPECT_THAT(refusal_, HasSubstr("beyond 1.5 A"));
  EXPECT_EQ(decoder_->TakeLost(), 3);
}

TEST(Ppk2DamageTest, StandsDamage) {
  ExpectTruncationsRefused(Case(), true);
  ExpectSplitsChangeNothing(Case());
}

TEST(Ppk2ModelTest, TheLowerLineOfTwo) {
  const auto match = Ppk2Model().match;
  const auto line = [](int interface) {
    return UsbDevice{.vendor = 0x1915, .product = 0xC00A, .interface_number = interface};
  };
  EXPECT_EQ(match(line(1)), UsbMatch::kYes);
  EXPECT_EQ(match(line(3)), UsbMatch::kNo);
  EXPECT_EQ(match(line(-1)), UsbMatch::kYes);
  EXPECT_EQ(match({.vendor = 0x1915, .product = 0x521F, .product_name = "PPK2 Bootloader"}),
            UsbMatch::kFirmwareUpdate);
  EXPECT_EQ(match({.vendor = 0x1915, .product = 0x521F, .product_name = "Open DFU Bootloader"}),
            UsbMatch::kNo);
}

// A meter that obeys: its text on 19, `samples` on 06.
class Meter {
 public:
  explicit Meter(Frame samples, std::string text = kText, bool hangs_up = false)
      : samples_(std::move(samples)), text_(std::move(text)), hangs_up_(hangs_up) {}
  PeerReply operator()(const std::vector<std::uint8_t>& asked) {
    PeerReply reply;
    for (; done_ < asked.size(); ++done_) {
      heard_->push_back(asked[done_]);
      if (asked[done_] == 0x19) reply.bytes = FromText(text_);
      if (asked[done_] == 0x06) reply = {samples_, hangs_up_};
    }
    // What was answered is not asked again.
    if (!reply.bytes.empty() || reply.then_hang_up) done_ = 0;
    return reply;
  }
  const std::vector<std::uint8_t>& heard() const { return *heard_; }

 private:
  const Frame samples_;
  const std::string text_;
  const bool hangs_up_;
  std::size_t done_ = 0;
  // Written by the peer's thread before it answers, read by the test after the answer.
  std::shared_ptr<std::vector<std::uint8_t>> heard_ = std::make_shared<std::vector<std::uint8_t>>();
};

std::unique_ptr<MeterDriver> Source(double volts) {
  MeterSettings settings;
  settings.mode = "source_meter";
  settings.supply_v = volts;
  return Ppk2Model().make_stated_driver(settings, false);
}

TEST(Ppk2DriverTest, AnAmpereMeterSetsNoVoltage) {
  const Meter meter(Words(Series(7, 3000)));
  PtyPeer peer(meter);
  Conversation talk(Ppk2Model(), peer);
  const auto identity = talk.Start();
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->firmware, "HW 9173");
  ASSERT_TRUE(talk.StepUntil(3000).ok());
  EXPECT_EQ(talk.seen.lost, 0);
  EXPECT_EQ(talk.seen.rejected, 0);
  EXPECT_EQ(talk.seen.samples.back().t_ns, 29'990'000);
  EXPECT_EQ(talk.seen.samples[0].voltage_v, std::nullopt);
  EXPECT_EQ(meter.heard(), FromHex("07 19 1101 0c01 06"));
}

TEST(Ppk2DriverTest, ASourceSetsItFirst) {
  const Meter meter(Words(Series(7, 100)));
  PtyPeer peer(meter);
  Conversation talk(Source(3.7), peer, 115200);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(100).ok());
  EXPECT_EQ(talk.seen.samples[0].voltage_v, 3.7);
  EXPECT_EQ(meter.heard(), FromHex("07 19 0d0e74 1102 0c01 06"));
}

TEST(Ppk2DriverTest, AVoltageThatItDoesNotHaveIsNeverSet) {
  for (const double volts : {5.01, 0.79, 0.0}) {
    const Meter meter(Words(Series(7, 100)));
    PtyPeer peer(meter);
    Conversation talk(Source(volts), peer, 115200);
    const absl::Status refused = talk.Start().status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("supply_v"));
    EXPECT_THAT(meter.heard(), testing::IsEmpty());
  }
}

TEST(Ppk2DriverTest, WithAnotherSupplyItFeedsNothing) {
  const Meter meter(Words(Series(7, 100)));
  PtyPeer peer(meter);
  MeterSettings settings;
  settings.supply_v = 3.7;
  Conversation talk(Ppk2Model().make_stated_driver(settings, false), peer, 115200);
  ASSERT_TRUE(talk.Start().ok());
  ASSERT_TRUE(talk.StepUntil(100).ok());
  EXPECT_EQ(meter.heard(), FromHex("07 19 1101 0c01 06"));
}

TEST(Ppk2DriverTest, NoCalibrationNoStart) {
  PtyPeer mute([](const std::vector<std::uint8_t>&) { return PeerReply{}; });
  Conversation silent(Ppk2Model(), mute);
  const absl::Status none = silent.Start().status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(none)) << none;
  EXPECT_THAT(std::string(none.message()), HasSubstr("no calibration came"));
}

TEST(Ppk2DriverTest, OutOfStepAsksForAnotherOpening) {
  Frame bytes = Words(Series(0, 200));
  bytes.erase(bytes.begin() + 401);
  PtyPeer peer{Meter(bytes)};
  Conversation talk(Ppk2Model(), peer);
  ASSERT_TRUE(talk.Start().ok());
  const absl::Status end = talk.StepUntil(1000);
  EXPECT_TRUE(absl::IsDataLoss(end)) << end;
}

TEST(Ppk2DriverTest, StallAndUnplug) {
  PtyPeer silent{Meter({})};
  Conversation stalled(Ppk2Model(), silent);
  ASSERT_TRUE(stalled.Start().ok());
  MeterBatch batch;
  EXPECT_TRUE(stalled.StepOnce(batch).ok());
  EXPECT_TRUE(batch.samples.empty());
  Frame half = Words(Series(0, 3));
  half.pop_back();
  PtyPeer gone{Meter(half, kText, true)};
  Conversation unplugged(Ppk2Model(), gone);
  absl::Status end = unplugged.Start().status();
  if (end.ok()) end = unplugged.StepUntil(1000);
  EXPECT_TRUE(absl::IsUnavailable(end)) << end;
}

}  // namespace
}  // namespace joulefarm::agent
