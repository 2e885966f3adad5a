#include "controller/artifacts/collection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kHour = 3'600'000'000'000;
constexpr std::int64_t kNow = 1000 * kHour;
using Kind = StoredContent::Kind;

std::vector<std::string> Going(const std::vector<StoredContent>& contents, const ArtifactUse& use,
                               std::int64_t keep_ns = 0) {
  std::vector<std::string> out;
  for (const StoredContent& content : Collectable(contents, use, keep_ns, kNow))
    out.push_back(content.sha256);
  return out;
}

TEST(Collectable, NewestOfANameAndModelsOfUnfinishedJobsStay) {
  const std::vector<StoredContent> contents{{"current", Kind::kComplete, 1, 0},
                                            {"replaced", Kind::kComplete, 1, 0},
                                            {"in_a_job", Kind::kComplete, 1, 0},
                                            {"nameless", Kind::kComplete, 1, 0},
                                            {"two_names", Kind::kComplete, 1, 0}};
  ArtifactUse use;
  use.rows = {{"tiny", "replaced", 1, false},
              {"tiny", "in_a_job", 2, false},
              {"tiny", "current", 3, true},
              {"a", "two_names", 4, false},
              {"b", "two_names", 5, true}};
  use.of_unfinished_jobs = {"in_a_job"};
  EXPECT_THAT(Going(contents, use), ElementsAre("replaced", "nameless"));
}

TEST(Collectable, KeepCountsFromTheLastPush) {
  const std::vector<StoredContent> contents{{"old", Kind::kComplete, 1, kNow},
                                            {"young", Kind::kComplete, 1, 0},
                                            {"nameless", Kind::kComplete, 1, kNow - kHour}};
  ArtifactUse use;
  use.rows = {{"tiny", "old", kNow - 3 * kHour, false},
              {"tiny", "young", kNow - 3 * kHour, false},
              {"other", "young", kNow - kHour, false}};
  EXPECT_THAT(Going(contents, use, 2 * kHour), ElementsAre("old"));
  EXPECT_THAT(Going(contents, use, 0), ElementsAre("old", "young", "nameless"));
  EXPECT_THAT(Going(contents, use, 4 * kHour), IsEmpty());
}

TEST(Collectable, RemainsOfAPushStayAnHourDamagedFilesGo) {
  const std::vector<StoredContent> contents{{"young", Kind::kPartial, 1, kNow - kHour / 2},
                                            {"old", Kind::kPartial, 1, kNow - 2 * kHour},
                                            {"bad", Kind::kDamaged, 1, kNow - kHour / 2}};
  ArtifactUse use;
  use.rows = {{"tiny", "old", 1, true}, {"tiny", "bad", 1, true}};
  EXPECT_THAT(Going(contents, use), ElementsAre("old", "bad"));
  EXPECT_THAT(Going(contents, use, 3 * kHour), IsEmpty());
}

}  // namespace
}  // namespace joulefarm::controller
