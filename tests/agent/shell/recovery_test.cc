#include "agent/recovery.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

absl::StatusOr<Recovered> RecoverIn(const TempDir& dir, Spool& spool) {
  Environment environment(HostPaths(dir.path() / "root"), dir.path() / "environment");
  PortCut port(HostPaths(dir.path() / "root"), dir.path() / "port", nullptr);
  return Recover(spool, dir.path() / "run", environment, port);
}

TEST(RecoveryTest, NothingHeldIsNothingToDo) {
  const TempDir dir;
  const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
  const auto recovered = RecoverIn(dir, *spool);
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_TRUE(recovered->kept.empty());
  EXPECT_TRUE(recovered->clean);
}

TEST(RecoveryTest, InterruptedAttemptGetsALastWordThatListsWhatWasStored) {
  const TempDir dir;
  {
    const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
    ASSERT_TRUE(spool->PersistGrant(MakeGrant(4)).ok());
    ASSERT_TRUE(spool->PersistGrant(MakeGrant(5)).ok());
    ASSERT_TRUE(spool->Finish(FinalFrame(4)).ok());
    for (int seq = 1; seq <= 3; ++seq) spool->Append(EventFrame(5, seq));
    spool->Acknowledge(Cursor(5, v1::STREAM_EVENT, 2));
    spool->Flush();
    std::filesystem::create_directories(dir.path() / "run" / "5");
    std::ofstream(dir.path() / "run" / "5" / "litter") << "x";
  }
  const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
  const auto recovered = RecoverIn(dir, *spool);
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  ASSERT_EQ(recovered->kept.size(), 2u);
  EXPECT_EQ(recovered->kept[0].state, v1::ATTEMPT_STATE_UPLOADING);
  EXPECT_EQ(recovered->kept[1].state, v1::ATTEMPT_STATE_INTERRUPTED);
  EXPECT_EQ(recovered->kept[1].job_id, "job-5");
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "run"));
  v1::Final final_word;
  for (const StoredFrame& stored : ReadAll(*spool)) {
    if (stored.frame.fence() == 5 && stored.frame.stream() == v1::STREAM_FINAL) {
      ASSERT_TRUE(final_word.ParseFromString(stored.frame.payload()));
    }
  }
  EXPECT_EQ(final_word.outcome(), v1::OUTCOME_INTERRUPTED);
  EXPECT_EQ(final_word.failure_class(), v1::FAILURE_CLASS_INFRA);
  ASSERT_EQ(final_word.last_size(), 1);
  EXPECT_EQ(final_word.last(0).last_seq(), 3);
  EXPECT_TRUE(final_word.clean());
}

TEST(RecoveryTest, SecondRecoveryFindsItEnded) {
  const TempDir dir;
  {
    const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
    ASSERT_TRUE(spool->PersistGrant(MakeGrant(5)).ok());
    ASSERT_TRUE(RecoverIn(dir, *spool).ok());
  }
  const auto spool = OpenSpool(TestSpoolOptions(dir.path()));
  const auto recovered = RecoverIn(dir, *spool);
  ASSERT_TRUE(recovered.ok());
  ASSERT_EQ(recovered->kept.size(), 1u);
  EXPECT_EQ(recovered->kept[0].state, v1::ATTEMPT_STATE_UPLOADING);
  EXPECT_EQ(ReadAll(*spool).size(), 1u);
}

}  // namespace
}  // namespace joulefarm::agent
