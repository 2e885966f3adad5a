#include "controller/store/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "controller/store/schema.h"
#include "tests/controller/store/store_testing.h"

namespace joulefarm::controller {
namespace {

using testing::IsEmpty;
using testing::Not;

TEST(ReadHealth, ASoundFileWhileTheStoreIsOpen) {
  const TempDir dir;
  auto store = OpenStore(dir.File("farm.db"));
  AddLeasedJob(*store);
  for (const bool thorough : {false, true}) {
    JF_ASSERT_OK_AND_ASSIGN(const DatabaseHealth health,
                            ReadHealth(dir.File("farm.db"), {.thorough = thorough}));
    EXPECT_THAT(health.problems, IsEmpty());
    EXPECT_TRUE(health.complete);
    EXPECT_EQ(health.schema_version, LatestSchemaVersion());
    EXPECT_GT(health.file_bytes + health.log_bytes, 0);
  }
  JF_EXPECT_OK(store->Commit({MakeExperiment(2)}));
}

TEST(ReadHealth, ADamagedPageIsFound) {
  const TempDir dir;
  {
    auto store = OpenStore(dir.File("farm.db"));
    AddLeasedJob(*store);
    std::vector<std::string> lines(2000, std::string(60, 'x'));
    ASSERT_TRUE(store->Ingest({MakeFrame(1, v1::STREAM_LOG, 1, LogOf(lines))}).ok());
  }
  // Over all of the log's pages but the first of the file.
  std::fstream file(dir.File("farm.db"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(0, std::ios::end);
  const std::streamoff size = file.tellp();
  for (std::streamoff at = size - size / 4; at < size; ++at) {
    file.seekp(at);
    file.put('\x7f');
  }
  file.close();
  JF_ASSERT_OK_AND_ASSIGN(const DatabaseHealth health, ReadHealth(dir.File("farm.db"), {}));
  EXPECT_THAT(health.problems, Not(IsEmpty()));
}

TEST(ReadHealth, WithoutTimeItSaysThatItDidNotRead) {
  const TempDir dir;
  auto store = OpenStore(dir.File("farm.db"));
  AddLeasedJob(*store);
  for (int i = 0; i < 20; ++i) {
    std::vector<std::string> lines(1000, std::string(60, 'x'));
    ASSERT_TRUE(store->Ingest({MakeFrame(1, v1::STREAM_LOG, i + 1, LogOf(lines))}).ok());
  }
  JF_ASSERT_OK_AND_ASSIGN(
      const DatabaseHealth health,
      ReadHealth(dir.File("farm.db"), {.thorough = false, .limit = std::chrono::milliseconds(-1)}));
  EXPECT_FALSE(health.complete);
  EXPECT_THAT(health.problems, IsEmpty());
}

TEST(ReadHealth, WhatIsNoDatabaseIsAnError) {
  const TempDir dir;
  std::ofstream(dir.File("text")) << std::string(5000, 'x');
  EXPECT_FALSE(ReadHealth(dir.File("text"), {}).ok());
  EXPECT_FALSE(ReadHealth(dir.File("missing"), {}).ok());
}

}  // namespace
}  // namespace joulefarm::controller
