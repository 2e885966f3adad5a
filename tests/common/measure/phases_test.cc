#include "common/measure/phases.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace joulefarm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PhaseSpan Outside(v1::Phase phase, std::int64_t start_ns, std::int64_t end_ns) {
  return {phase, {start_ns, end_ns}, std::nullopt, std::nullopt};
}

PhaseSpan Inside(v1::Phase phase, std::int64_t start_ns, std::int64_t end_ns, int run,
                 int request) {
  return {phase, {start_ns, end_ns}, run, request};
}

TEST(PhasesTest, HolesBecomeOther) {
  const Partition partition =
      CompletePartition({Inside(v1::PHASE_DECODE, 60, 90, 0, 0), Outside(v1::PHASE_LOAD, 10, 40),
                         Inside(v1::PHASE_PREFILL, 50, 60, 0, 0)},
                        {0, 100});
  EXPECT_EQ(partition.overlap_ns, 0);
  EXPECT_THAT(
      partition.spans,
      ElementsAre(Outside(v1::PHASE_OTHER, 0, 10), Outside(v1::PHASE_LOAD, 10, 40),
                  Outside(v1::PHASE_OTHER, 40, 50), Inside(v1::PHASE_PREFILL, 50, 60, 0, 0),
                  Inside(v1::PHASE_DECODE, 60, 90, 0, 0), Outside(v1::PHASE_OTHER, 90, 100)));
}

TEST(PhasesTest, WithoutPhasesAllIsOther) {
  EXPECT_THAT(CompletePartition({}, {5, 9}).spans, ElementsAre(Outside(v1::PHASE_OTHER, 5, 9)));
  EXPECT_THAT(CompletePartition({}, {5, 5}).spans, IsEmpty());
}

TEST(PhasesTest, TheEarlierPhaseKeepsAnOverlap) {
  const Partition partition =
      CompletePartition({Outside(v1::PHASE_LOAD, 0, 50), Outside(v1::PHASE_PREFILL, 40, 70),
                         Outside(v1::PHASE_PAUSE, 45, 48)},
                        {0, 70});
  EXPECT_EQ(partition.overlap_ns, 13);
  EXPECT_THAT(partition.spans,
              ElementsAre(Outside(v1::PHASE_LOAD, 0, 50), Outside(v1::PHASE_PREFILL, 50, 70)));
}

TEST(PhasesTest, PhasesAreCutToTheAttempt) {
  const Partition partition =
      CompletePartition({Outside(v1::PHASE_LOAD, -5, 5), Outside(v1::PHASE_TAIL, 8, 20)}, {0, 10});
  EXPECT_EQ(partition.overlap_ns, 0);
  EXPECT_THAT(partition.spans,
              ElementsAre(Outside(v1::PHASE_LOAD, 0, 5), Outside(v1::PHASE_OTHER, 5, 8),
                          Outside(v1::PHASE_TAIL, 8, 10)));
}

TEST(PhasesTest, EmptyPhasesStay) {
  const Partition partition = CompletePartition(
      {Inside(v1::PHASE_PREFILL, 0, 10, 0, 0), Inside(v1::PHASE_DECODE, 10, 10, 0, 0)}, {0, 10});
  EXPECT_THAT(partition.spans, ElementsAre(Inside(v1::PHASE_PREFILL, 0, 10, 0, 0),
                                           Inside(v1::PHASE_DECODE, 10, 10, 0, 0)));
}

TEST(PhasesTest, PartsThatTouchAreOne) {
  const std::vector<Interval> parts{{20, 30}, {0, 10}, {10, 15}, {15, 15}, {28, 35}};
  EXPECT_THAT(Joined(parts), ElementsAre(Interval{0, 15}, Interval{20, 35}));
}

}  // namespace
}  // namespace joulefarm
