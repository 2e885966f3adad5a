#include "agent/power/meter/monsoon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/vectors/monsoon.h"

namespace joulefarm::agent {
namespace {

using namespace monsoon;  // NOLINT: the frames this is about

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MonsoonTest : public testing::Test {
 protected:
  void Calibrate() {
    EXPECT_THAT(*decoder_->Decode(Zero()), IsEmpty());
    EXPECT_THAT(*decoder_->Decode(Reference()), IsEmpty());
  }
  std::vector<MeterSample> Decode(const Frame& frame) {
    const absl::StatusOr<std::vector<MeterSample>> samples = decoder_->Decode(frame);
    EXPECT_TRUE(samples.ok()) << samples.status();
    return samples.ok() ? *samples : std::vector<MeterSample>();
  }
  std::string Refused(const Frame& frame) {
    const absl::StatusOr<std::vector<MeterSample>> samples = decoder_->Decode(frame);
    EXPECT_TRUE(absl::IsDataLoss(samples.status())) << samples.status();
    return std::string(samples.status().message());
  }

  std::unique_ptr<MeterDecoder> decoder_ = MonsoonModel().make_decoder();
};

TEST_F(MonsoonTest, TheDerivedPackets) {
  Calibrate();
  const std::vector<MeterSample> samples = Decode(Measurement());
  ASSERT_THAT(samples, SizeIs(2)) << "the third is not a measurement";
  EXPECT_NEAR(samples[0].current_a.value_or(0), 21.597479e-3, 5e-10) << "fine";
  EXPECT_NEAR(samples[1].current_a.value_or(0), 126.456248e-3, 5e-10) << "coarse";
  EXPECT_EQ(samples[0].voltage_v, 4.2);
  EXPECT_EQ(samples[0].power_w, 4.2 * *samples[0].current_a);
  ASSERT_THAT(samples[0].more, SizeIs(2));
  EXPECT_EQ(samples[0].more[0], std::pair(std::string("usb_voltage_v"), 5.0));
  // 1000 - 15 - 1010 of 50010 - 15 - 1010 counts.
  EXPECT_EQ(samples[0].more[1].first, "usb_current_a");
  EXPECT_NEAR(samples[0].more[1].second, -25.0 * 36'500 / 48'985 * 1e-6, 1e-15);
  EXPECT_EQ(samples[0].t_ns, 400'000) << "two calibrations of 200 µs before it";
  EXPECT_EQ(samples[1].t_ns, 600'000);
}

TEST_F(MonsoonTest, NothingWithoutBothCalibrations) {
  EXPECT_THAT(Decode(Measurement()), IsEmpty());
  EXPECT_THAT(Decode(Zero()), IsEmpty());
  EXPECT_THAT(Decode(Measurement()), IsEmpty());
  EXPECT_THAT(Decode(Reference()), IsEmpty());
  EXPECT_THAT(Decode(Measurement()), SizeIs(2));
}

TEST_F(MonsoonTest, CalibrationIsTheMeanOfTheLastFiveThatAreNotZero) {
  Calibrate();
  Frame zero = Zero();
  zero[6] = zero[7] = 0;  // no value
  Decode(zero);
  const double before = *Decode(Measurement())[0].current_a;
  EXPECT_NEAR(before, 21.597479e-3, 5e-10);
  zero[6] = 0x04;  // 1024: from 1000 to 1024 over five
  for (int i = 0; i < 4; ++i) Decode(zero);
  const double mean = (1000 + 4 * 1024) / 5.0;
  EXPECT_NEAR(*Decode(Measurement())[0].current_a,
              (30'000 - 15 - mean) * 36'500 / (50'000 - 15 - mean) * 1e-6, 1e-12);
  Decode(zero);
  EXPECT_NEAR(*Decode(Measurement())[0].current_a,
              (30'000 - 15 - 1024.0) * 36'500 / (50'000 - 15 - 1024.0) * 1e-6, 1e-12);
}

TEST_F(MonsoonTest, DroppedSamplesAreCountedAndTakeTheirTime) {
  Calibrate();
  Decode(Measurement());
  EXPECT_EQ(decoder_->TakeLost(), 0);
  Frame later = Measurement();
  later[0] = 5;
  const std::vector<MeterSample> samples = Decode(later);
  EXPECT_EQ(decoder_->TakeLost(), 5);
  EXPECT_EQ(decoder_->TakeLost(), 0) << "taken";
  EXPECT_EQ(samples[0].t_ns, (2 + 3 + 5) * 200'000);
  later[0] = later[1] = 0xFF;
  Decode(later);
  EXPECT_EQ(decoder_->TakeLost(), 0xFFFF - 5);
  later[0] = 1;
  later[1] = 0;
  Decode(later);
  EXPECT_EQ(decoder_->TakeLost(), 2) << "the count wraps";
}

TEST_F(MonsoonTest, TheFirstCountIsThatOfBefore) {
  Frame first = Zero();
  first[0] = 200;
  Decode(first);
  EXPECT_EQ(decoder_->TakeLost(), 0);
  decoder_->Reset();
  Decode(Zero());
  EXPECT_EQ(decoder_->TakeLost(), 0);
}

TEST_F(MonsoonTest, TheLowVoltageModelHasSignsAndAnotherDivider) {
  const MonsoonCalibration low{.kind = MonsoonKind::kLowVoltage,
                               .main_fine = {.scale = 35'946, .offset = 0},
                               .main_coarse = {.scale = 3'103.4, .offset = 0},
                               .usb_fine = {.scale = 35'946, .offset = 0},
                               .usb_coarse = {.scale = 3'103.4, .offset = 0}};
  decoder_ = MakeMonsoonDecoder(low);
  // Zero -100 and 50, reference 20000 and 30000 (coarse, fine); then -100 fine, and 31000 fine with
  // 4000 coarse.
  Decode(Packet("00002001ff9c0032ff9c0032000a001441a09c400010"));
  Decode(Packet("000020014e2075304e20753000640fa041a09c400030"));
  const std::vector<MeterSample> samples =
      Decode(Packet("000020020064ff9c0032ff9c000a001441a09c400000"
                    "0fa0791800000000000a001441a09c400000"));
  ASSERT_THAT(samples, SizeIs(2));
  EXPECT_NEAR(samples[0].current_a.value_or(0), -150.0 * 35'946 / 29'950 * 1e-6, 1e-15);
  EXPECT_NEAR(samples[1].current_a.value_or(0), 4'100 * 3'103.4 / 20'100 * 1e-3, 1e-12);
  EXPECT_EQ(samples[0].voltage_v, 2.1);
}

TEST_F(MonsoonTest, AnOutputThatIsOffIsNotADeviceAtZeroWatts) {
  Calibrate();
  Frame off = Measurement();
  off[2] = 0x01;
  EXPECT_THAT(Refused(off), HasSubstr("its output is off (bit 5 of its flags, which one document"));
  EXPECT_EQ(decoder_->TakeLost(), 2) << "the third is not a measurement";
  Frame tripped = Measurement();
  tripped[2] |= 0x10;
  EXPECT_THAT(Refused(tripped), HasSubstr("over-current (bit 4 of its flags, which one document"));
  EXPECT_EQ(decoder_->TakeLost(), 2);
  tripped[2] = 0x11;
  EXPECT_THAT(Refused(tripped), HasSubstr("over-current")) << "off, and why";
  const std::vector<MeterSample> samples = Decode(Measurement());
  ASSERT_THAT(samples, SizeIs(2)) << "it is on again";
  EXPECT_EQ(samples[0].t_ns, (2 + 3 * 3) * 200'000);
}

// They are of the monitor itself.
TEST_F(MonsoonTest, CalibrationsCountWhileItsOutputIsOff) {
  Frame zero = Zero();
  Frame reference = Reference();
  zero[2] = reference[2] = 0;
  EXPECT_THAT(Decode(zero), IsEmpty());
  EXPECT_THAT(Decode(reference), IsEmpty());
  EXPECT_THAT(Decode(Measurement()), SizeIs(2));
}

TEST_F(MonsoonTest, WhatIsNoPacketIsRefused) {
  Calibrate();
  EXPECT_THAT(Refused({}), HasSubstr("a packet of 0 bytes"));
  EXPECT_THAT(Refused(Frame(65)), HasSubstr("a packet of 65 bytes"));
  Frame frame = Measurement();
  frame[3] = 0;
  EXPECT_THAT(Refused(frame), HasSubstr("0 observations"));
  frame[3] = 4;
  EXPECT_THAT(Refused(frame), HasSubstr("4 observations"));
  frame = Measurement();
  frame.resize(57);
  EXPECT_THAT(Refused(frame), HasSubstr("cannot have 3 observations"));
}

TEST_F(MonsoonTest, WhatARefusedPacketHeldIsLostAndTakesItsTime) {
  Calibrate();
  Frame damaged = Measurement();
  damaged[3] = 9;
  Refused(damaged);
  EXPECT_EQ(decoder_->TakeLost(), 3) << "as many as there is room for";
  EXPECT_EQ(Decode(Measurement())[0].t_ns, (2 + 3) * 200'000);
  Frame cut = Measurement();
  cut.resize(57);
  Refused(cut);
  EXPECT_EQ(decoder_->TakeLost(), 3) << "as many as it says";
  Frame shorter = Measurement();
  shorter[3] = 0;
  shorter.resize(41);
  Refused(shorter);
  EXPECT_EQ(decoder_->TakeLost(), 2);
  Refused({});
  EXPECT_EQ(decoder_->TakeLost(), 0);
  EXPECT_EQ(Decode(Measurement())[0].t_ns, (2 + 3 + 3 + 3 + 2) * 200'000);
}

TEST_F(MonsoonTest, ACurrentThatCannotBeIsRefused) {
  Frame reference = Reference();
  reference[4] = 0x02;  // coarse: 2 counts above its zero
  reference[5] = 0x05;
  Decode(Zero());
  Decode(reference);
  EXPECT_THAT(Refused(Measurement()), HasSubstr("a current beyond 16 A"));
  EXPECT_EQ(decoder_->TakeLost(), 2);
}

TEST_F(MonsoonTest, StandsDamage) {
  ExpectTruncationsRefused(Case(), true);
  ExpectOrdersKeepValues(Case());
}

TEST(MonsoonModelTest, IsFoundByItsNumbers) {
  const MeterModel model = MonsoonModel();
  UsbDevice device;
  device.vendor = 0x2AB9;
  device.product = 0x0001;
  EXPECT_EQ(model.match(device), UsbMatch::kYes);
  device.product = 0x0002;
  EXPECT_EQ(model.match(device), UsbMatch::kNo);
}

TEST(MonsoonModelTest, ItsQueueIsInItsLatency) {
  constexpr std::int64_t kQueueNs = 16 * 200'000;
  const MeterModel model = MonsoonModel();
  EXPECT_GE(model.latency_u_ns, kQueueNs);
  EXPECT_LE(model.latency_u_ns, 2 * kQueueNs);
}

}  // namespace
}  // namespace joulefarm::agent
