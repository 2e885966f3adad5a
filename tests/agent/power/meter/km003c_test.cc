#include "agent/power/meter/km003c.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "agent/power/meter/registry.h"
#include "tests/agent/power/meter/mutation.h"
#include "tests/agent/power/meter/vectors/km003c.h"

namespace joulefarm::agent {
namespace {

using namespace km003c;  // NOLINT: the frames this is about

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<MeterSample> Decode(const char* hex) {
  Km003cDecoder decoder;
  absl::StatusOr<std::vector<MeterSample>> samples = decoder.Decode(FromHex(hex));
  EXPECT_TRUE(samples.ok()) << samples.status();
  return samples.ok() ? *samples : std::vector<MeterSample>();
}

double More(const MeterSample& sample, const std::string& name) {
  for (const auto& [key, value] : sample.more) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

constexpr double kExact = 1e-12;

TEST(Km003cDecoderTest, TheFirstCapturedMeasurement) {
  const std::vector<MeterSample> samples = Decode(kAdc1);
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_NEAR(*samples[0].voltage_v, 5.053509, kExact);
  EXPECT_NEAR(*samples[0].current_a, -0.090450, kExact);
  EXPECT_NEAR(*samples[0].power_w, 5.053509 * -0.090450, kExact);
  EXPECT_EQ(samples[0].t_ns, std::nullopt);
  EXPECT_NEAR(More(samples[0], "avg_voltage_v"), 5.053659, kExact);
  EXPECT_NEAR(More(samples[0], "avg_current_a"), -0.090333, kExact);
  EXPECT_NEAR(More(samples[0], "temperature_c"), 25.5703125, kExact);
  EXPECT_NEAR(More(samples[0], "cc1_v"), 0.4234, kExact);
  EXPECT_NEAR(More(samples[0], "cc2_v"), 0.0014, kExact);
  EXPECT_NEAR(More(samples[0], "vdd_v"), 3.2376, kExact);
  EXPECT_EQ(More(samples[0], "rate_index"), 0);
}

TEST(Km003cDecoderTest, TheOtherCapturedMeasurements) {
  const std::vector<MeterSample> second = Decode(kAdc2);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NEAR(*second[0].voltage_v, 5.082592, kExact);
  EXPECT_NEAR(*second[0].current_a, 30e-6, kExact);
  EXPECT_NEAR(More(second[0], "temperature_c"), 24.21875, kExact);
  EXPECT_NEAR(More(second[0], "cc1_v"), 0.0661, kExact);
  EXPECT_NEAR(More(second[0], "cc2_v"), 3.2371, kExact);
  const std::vector<MeterSample> fourth = Decode(kAdc4);
  ASSERT_EQ(fourth.size(), 1U);
  EXPECT_NEAR(*fourth[0].voltage_v, 9.173040, kExact);
  EXPECT_NEAR(*fourth[0].current_a, -1.306216, kExact);
  EXPECT_NEAR(More(fourth[0], "temperature_c"), 30.5, kExact);
}

TEST(Km003cDecoderTest, ACapturedReplyOfTheQueue) {
  const std::vector<MeterSample> samples = Decode(kQueue);
  ASSERT_EQ(samples.size(), 2U);
  EXPECT_NEAR(*samples[0].voltage_v, 9.225173, kExact);
  EXPECT_NEAR(*samples[0].current_a, -1.536935, kExact);
  EXPECT_EQ(samples[0].t_ns, 59'405'000'000);
  EXPECT_NEAR(More(samples[0], "cc1_v"), 1.6604, kExact);
  EXPECT_NEAR(More(samples[0], "cc2_v"), 0.0287, kExact);
  EXPECT_NEAR(More(samples[0], "dp_v"), 0.5979, kExact);
  EXPECT_NEAR(More(samples[0], "dm_v"), 0.5976, kExact);
  EXPECT_NEAR(*samples[1].voltage_v, 9.219083, kExact);
  EXPECT_NEAR(*samples[1].current_a, -1.485566, kExact);
  EXPECT_EQ(samples[1].t_ns, 59'905'000'000);
}

TEST(Km003cDecoderTest, TheQueuesCounterWrapsAndShowsWhatIsMissing) {
  Km003cDecoder decoder;
  ASSERT_TRUE(decoder.Decode(Queued({65533, 65534})).ok());
  EXPECT_EQ(decoder.TakeLost(), 0);
  const absl::StatusOr<std::vector<MeterSample>> after = decoder.Decode(Queued({2, 3}));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ((*after)[0].t_ns, 65'538'000'000);
  EXPECT_EQ(decoder.TakeLost(), 3);
  EXPECT_EQ(decoder.TakeLost(), 0);
}

TEST(Km003cDecoderTest, ADoubledOrLateReplyOfTheQueueIsRefusedOnce) {
  Km003cDecoder decoder;
  ASSERT_TRUE(decoder.Decode(Queued({100, 101})).ok());
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(Queued({100, 101})).status()));
  // It was started again: time goes on.
  const absl::StatusOr<std::vector<MeterSample>> again = decoder.Decode(Queued({5, 6}));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)[0].t_ns, (65'536 + 5) * std::int64_t{1'000'000});
  EXPECT_EQ(decoder.TakeLost(), 0);
}

TEST(Km003cDecoderTest, ARefusedReplySaysNothingOfTheRate) {
  Km003cDecoder decoder;
  ASSERT_TRUE(decoder.Decode(Queued({1, 2})).ok());
  Frame wrong = Queued({3, 503});
  wrong[8 + 20 + 7] = 0x7F;  // 2130 V
  EXPECT_TRUE(absl::IsDataLoss(decoder.Decode(wrong).status()));
  ASSERT_TRUE(decoder.Decode(Queued({4})).ok());
  EXPECT_EQ(decoder.TakeLost(), 1) << "still 1000 per second";
}

TEST(Km003cDecoderTest, RepliesWithoutAMeasurementHaveNoSamples) {
  EXPECT_THAT(Decode("05010000"), IsEmpty());
  EXPECT_THAT(Decode("41010000"), IsEmpty());
  // PD status alone.
  EXPECT_THAT(Decode("4101000010000003000000008813000000000000"), IsEmpty());
}

std::string Refusal(const Frame& frame) {
  Km003cDecoder decoder;
  const absl::Status status = decoder.Decode(frame).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  return std::string(status.message());
}

TEST(Km003cDecoderTest, RefusalsSayWhatIsWrong) {
  EXPECT_THAT(Refusal(FromHex("4100")), HasSubstr("a reply of 2 bytes"));
  EXPECT_THAT(Refusal(FromHex("06010000")), HasSubstr("refused what it was asked"));
  EXPECT_THAT(Refusal(FromHex("44010000")), HasSubstr("type 44"));
  Frame queue = FromHex(kQueue);
  queue[6] = 63;  // chunk
  EXPECT_THAT(Refusal(queue), HasSubstr("claims 1260 bytes of attribute 2 and has 40"));
  queue[6] = 1;
  EXPECT_THAT(Refusal(queue), HasSubstr("20 bytes behind what the reply says"));
  Frame adc = FromHex(kAdc1);
  adc[11] = 0x7F;  // 2130 V
  EXPECT_THAT(Refusal(adc), HasSubstr("more than a KM003C measures"));
}

// A header alone is a reply without a measurement; nothing else that was cut short is legal.
TEST(Km003cMutationTest, Truncations) {
  for (const Frame& frame : Case().frames) {
    for (std::size_t size = 0; size < frame.size(); ++size) {
      const Frame part(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      const Decoded decoded = DecodePieces(Case(), {part});
      EXPECT_THAT(decoded.samples, IsEmpty()) << size;
      EXPECT_EQ(decoded.refused, size == 4 ? 0U : 1U) << size;
    }
  }
}
// The protocol has no check sum: of flipped values only those out of range are seen.
TEST(Km003cMutationTest, FlipsOfHeaders) {
  ExpectFlipsFound(Case(), [](const Frame&, std::size_t byte) { return byte >= 8; });
}
TEST(Km003cMutationTest, Orders) { ExpectOrdersKeepValues(Case()); }

// Answers as it is told, on a clock that only it moves.
class ScriptedLink : public Link {
 public:
  // What a question brings: replies in which byte 1 is replaced by the question's where `own`.
  struct Answer {
    Frame reply;
    bool own = true;
  };

  absl::Status Write(absl::Span<const std::uint8_t> bytes, int) override {
    questions.emplace_back(bytes.begin(), bytes.end());
    now_ns += 100'000;
    if (!write.ok()) return write;
    if (!answers.empty()) {
      for (Answer& answer : answers.front()) {
        if (answer.own) answer.reply.at(1) = bytes[1];
        pending.push_back(answer.reply);
      }
      answers.pop_front();
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::uint8_t>> Read(std::size_t, int timeout_ms) override {
    if (pending.empty()) {
      now_ns += std::int64_t{timeout_ms} * 1'000'000;
      if (!read.ok()) return read;
      return absl::DeadlineExceededError("nothing");
    }
    now_ns += reply_ns;
    Frame frame = pending.front();
    pending.pop_front();
    return frame;
  }

  Km003cDriver::Time Time() {
    return {.now = [this] { return now_ns; },
            .sleep_until = [this](std::int64_t until_ns) { now_ns = until_ns; }};
  }

  std::vector<Frame> questions;
  std::deque<std::vector<Answer>> answers;
  std::deque<Frame> pending;
  absl::Status write;
  absl::Status read;
  std::int64_t reply_ns = 300'000;
  std::int64_t now_ns = 1'000'000'000;
};

class Km003cDriverTest : public testing::Test {
 protected:
  void Answer(absl::string_view hex, bool own = true) {
    link_.answers.push_back({{FromHex(hex), own}});
  }
  void Start(double rate_hz = 0) {
    Answer(kAdc1);
    const absl::StatusOr<MeterIdentity> started = driver_.Start(link_, rate_hz);
    ASSERT_TRUE(started.ok()) << started.status();
  }
  MeterBatch Step() {
    MeterBatch batch;
    const absl::Status status = driver_.Step(link_, batch);
    EXPECT_TRUE(status.ok()) << status;
    return batch;
  }

  ScriptedLink link_;
  Km003cDriver driver_{link_.Time()};
};

TEST_F(Km003cDriverTest, DrainsAndAsks) {
  link_.pending.push_back(FromHex(kAdc4));
  link_.pending.push_back(FromHex(kQueue));
  Start();
  EXPECT_THAT(link_.questions, ElementsAre(Frame{0x0C, 1, 0x02, 0x00}));
  Answer(kAdc2);
  const MeterBatch batch = Step();
  EXPECT_EQ(link_.questions.back(), (Frame{0x0C, 2, 0x02, 0x00}));
  ASSERT_EQ(batch.samples.size(), 1U);
  EXPECT_NEAR(*batch.samples[0].voltage_v, 5.082592, kExact);
  EXPECT_EQ(batch.arrived_ns - *batch.asked_ns, 400'000);
  EXPECT_EQ(batch.lost, 0);
}

TEST_F(Km003cDriverTest, AsksAtTheRateItIsTold) {
  Start(100);
  Answer(kAdc2);
  const std::int64_t first_ns = *Step().asked_ns;
  Answer(kAdc2);
  EXPECT_EQ(*Step().asked_ns - first_ns, 10'000'000);
}

TEST_F(Km003cDriverTest, NeverFasterThanTheMeterConverts) {
  Start(5000);
  Answer(kAdc2);
  const std::int64_t first_ns = *Step().asked_ns;
  Answer(kAdc2);
  EXPECT_EQ(*Step().asked_ns - first_ns, 2'000'000);
}

TEST_F(Km003cDriverTest, PollsThatWereMissedAreCounted) {
  Start();
  Answer(kAdc2);
  Step();
  link_.now_ns += 20'000'000;
  Answer(kAdc2);
  EXPECT_EQ(Step().lost, 9);
}

TEST_F(Km003cDriverTest, RepliesToEarlierQuestionsAreRefused) {
  Start();
  link_.answers.push_back({{FromHex(kAdc4), false}, {FromHex(kAdc2), true}});
  const MeterBatch batch = Step();
  ASSERT_EQ(batch.samples.size(), 1U);
  EXPECT_NEAR(*batch.samples[0].voltage_v, 5.082592, kExact);
  EXPECT_EQ(batch.rejected, 1);
  EXPECT_THAT(batch.refusal, HasSubstr("question 216 instead of 2"));
}

TEST_F(Km003cDriverTest, ASilentMeterIsAnEmptyBatch) {
  Start();
  const MeterBatch batch = Step();
  EXPECT_THAT(batch.samples, IsEmpty());
  EXPECT_EQ(batch.lost, 1);
  EXPECT_EQ(batch.rejected, 0);
}

TEST_F(Km003cDriverTest, GarbageIsCounted) {
  Start();
  Answer("41010000deadbeef");
  const MeterBatch batch = Step();
  EXPECT_THAT(batch.samples, IsEmpty());
  EXPECT_EQ(batch.rejected, 1);
  EXPECT_EQ(batch.lost, 1);
  EXPECT_FALSE(batch.refusal.empty());
}

TEST_F(Km003cDriverTest, ASampleWhoseTimeIsNotKnownWellIsLost) {
  Start();
  Answer(kAdc2);
  link_.reply_ns = 4'500'000;
  const MeterBatch batch = Step();
  EXPECT_THAT(batch.samples, IsEmpty());
  EXPECT_EQ(batch.lost, 1);
  EXPECT_THAT(batch.refusal, HasSubstr("round trip took 4.6 ms"));
  // By a nanosecond, which shows.
  Answer(kAdc2);
  link_.reply_ns = 3'900'001;
  EXPECT_THAT(Step().refusal, HasSubstr("took 4.000001 ms, more than 4 ms"));
}

TEST_F(Km003cDriverTest, AMeterThatIsGoneIsAnError) {
  Start();
  link_.read = absl::UnavailableError("gone");
  MeterBatch batch;
  EXPECT_TRUE(absl::IsUnavailable(driver_.Step(link_, batch)));
}

TEST_F(Km003cDriverTest, ADeviceThatNeverMeasuresDoesNotStart) {
  for (int i = 0; i < 4; ++i) Answer("05010000");
  const absl::Status status = driver_.Start(link_, 0).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("a reply without a value"));
}

TEST_F(Km003cDriverTest, ADeviceThatNeverStopsDoesNotStart) {
  for (int i = 0; i < 100; ++i) link_.pending.push_back(FromHex(kAdc1));
  EXPECT_TRUE(absl::IsDataLoss(driver_.Start(link_, 0).status()));
}

TEST(Km003cModelTest, IsFoundByItsNumbers) {
  const auto match = [](std::uint16_t vendor, std::uint16_t product) {
    UsbDevice device;
    device.vendor = vendor;
    device.product = product;
    return FindMeterModel("km003c")->match(device);
  };
  ASSERT_NE(FindMeterModel("km003c"), nullptr);
  EXPECT_EQ(match(0x5FC9, 0x0063), UsbMatch::kYes);
  EXPECT_EQ(match(0x5FC9, 0x0061), UsbMatch::kYes);
  EXPECT_EQ(match(0x5FC9, 0x0062), UsbMatch::kNo);
  EXPECT_EQ(match(0x0483, 0x0063), UsbMatch::kNo);
}

}  // namespace
}  // namespace joulefarm::agent
