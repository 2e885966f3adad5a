#include "agent/artifact/cache_room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/sha256/sha256.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> Names(const std::vector<CachedFile>& files) {
  std::vector<std::string> names;
  for (const CachedFile& file : files) names.push_back(file.sha256);
  return names;
}

const std::vector<CachedFile> kFiles{{"new", 10, 300}, {"old", 20, 100}, {"mid", 30, 200}};

TEST(ChooseEvictions, NothingGoesWhereThereIsRoom) {
  EXPECT_THAT(*ChooseEvictions(kFiles, {}, {.need_bytes = 40, .free_bytes = 40, .max_bytes = 100}),
              IsEmpty());
  EXPECT_THAT(*ChooseEvictions(kFiles, {}, {.need_bytes = 40, .free_bytes = 40}), IsEmpty());
}

TEST(ChooseEvictions, OldestFirstUntilBothQuotaAndDiskHaveRoom) {
  const auto choose = [](std::int64_t free, std::optional<std::int64_t> max) {
    return Names(
        *ChooseEvictions(kFiles, {}, {.need_bytes = 40, .free_bytes = free, .max_bytes = max}));
  };
  EXPECT_THAT(choose(100, 99), ElementsAre("old"));
  EXPECT_THAT(choose(100, 80), ElementsAre("old"));
  EXPECT_THAT(choose(100, 79), ElementsAre("old", "mid"));
  EXPECT_THAT(choose(39, std::nullopt), ElementsAre("old"));
  EXPECT_THAT(choose(0, 99), ElementsAre("old", "mid"));
}

TEST(ChooseEvictions, WhatIsInUseStaysAndTheErrorSaysWhichLimitItIs) {
  EXPECT_THAT(Names(*ChooseEvictions(kFiles, {"old"},
                                     {.need_bytes = 40, .free_bytes = 100, .max_bytes = 99})),
              ElementsAre("mid"));
  const auto quota = ChooseEvictions(kFiles, {"old", "mid"},
                                     {.need_bytes = 40, .free_bytes = 100, .max_bytes = 60});
  EXPECT_TRUE(absl::IsResourceExhausted(quota.status()));
  EXPECT_THAT(std::string(quota.status().message()), HasSubstr("artifact_max_bytes is 60"));
  const auto disk = ChooseEvictions(kFiles, {}, {.need_bytes = 100, .free_bytes = 30});
  EXPECT_TRUE(absl::IsResourceExhausted(disk.status()));
  EXPECT_THAT(std::string(disk.status().message()), HasSubstr("10 too few"));
}

TEST(ListCached, CountsCompleteAndPartialFilesAndNothingElse) {
  const TempDir dir;
  const std::string one = Sha256Hex("one");
  const std::string two = Sha256Hex("two");
  std::ofstream(dir.path() / one) << "12345";
  std::ofstream(dir.path() / (two + ".part")) << "123";
  std::ofstream(dir.path() / "note.txt") << "not ours";
  auto files = ListCached(dir.path());
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.size_bytes < b.size_bytes; });
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].sha256, two);
  EXPECT_EQ(files[0].size_bytes, 3);
  EXPECT_EQ(files[1].size_bytes, 5);
  EXPECT_GT(files[1].used_ns, 0);
}

}  // namespace
}  // namespace joulefarm::agent
