#include "agent/spool/spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class SpoolTest : public testing::Test {
 protected:
  void Open() { spool_ = OpenSpool(TestSpoolOptions(dir_.path(), &heard_)); }
  void Reopen() {
    spool_.reset();
    Open();
  }
  void SetUp() override {
    Open();
    ASSERT_NE(spool_, nullptr);
  }

  TempDir dir_;
  Heard heard_;
  std::unique_ptr<Spool> spool_;
};

TEST_F(SpoolTest, GrantAndMarkSurviveAReopen) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(7, "d")).ok());
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(5, "e")).ok());
  Reopen();
  const auto held = spool_->Held();
  ASSERT_TRUE(held.ok());
  ASSERT_EQ(held->size(), 2u);
  EXPECT_EQ((*held)[0].grant.fence(), 5);
  EXPECT_EQ((*held)[1].grant.spec().cell(), "threads=1");
  EXPECT_FALSE((*held)[1].finished);
  EXPECT_THAT(spool_->HighWater(),
              UnorderedElementsAre(testing::Pair("d", 7), testing::Pair("e", 5)));
  EXPECT_TRUE(absl::IsAlreadyExists(spool_->PersistGrant(MakeGrant(7))));
}

TEST_F(SpoolTest, MarkIsNeverPruned) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(7)).ok());
  spool_->Forget(7);
  spool_->Flush();
  Reopen();
  EXPECT_TRUE(spool_->Held()->empty());
  EXPECT_EQ(spool_->HighWater()["d"], 7);
}

TEST_F(SpoolTest, FramesComeBackInOrderAndComplete) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  const std::vector<v1::Frame> frames = {EventFrame(1, 1), LogFrame(1, 1, 20), EventFrame(1, 2),
                                         PowerFrame(1, 1, 100)};
  for (const v1::Frame& frame : frames) spool_->Append(frame);
  spool_->Flush();
  Reopen();
  const std::vector<StoredFrame> stored = ReadAll(*spool_);
  ASSERT_EQ(stored.size(), frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(stored[i].frame.SerializeAsString(), frames[i].SerializeAsString());
    if (i > 0) {
      EXPECT_GT(stored[i].id, stored[i - 1].id);
    }
  }
}

TEST_F(SpoolTest, ReadIsBoundedAndGoesOnFromTheLastId) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  for (int seq = 1; seq <= 20; ++seq) spool_->Append(EventFrame(1, seq, 1000));
  spool_->Flush();
  std::int64_t last = 0;
  int count = 0;
  while (true) {
    const auto frames = spool_->Read(last, 3000);
    ASSERT_TRUE(frames.ok());
    if (frames->empty()) break;
    EXPECT_LE(frames->size(), 3u);
    for (const StoredFrame& stored : *frames) EXPECT_EQ(stored.frame.seq(), ++count);
    last = frames->back().id;
  }
  EXPECT_EQ(count, 20);
  EXPECT_EQ(spool_->Read(0, 1)->size(), 1u) << "one frame at least, however small the budget";
}

TEST_F(SpoolTest, AcknowledgedFramesGoAndTheStreamsEndIsRemembered) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  for (int seq = 1; seq <= 5; ++seq) spool_->Append(EventFrame(1, seq));
  spool_->Append(LogFrame(1, 1, 10));
  spool_->Acknowledge(Cursor(1, v1::STREAM_EVENT, 5));
  spool_->Flush();
  EXPECT_EQ(ReadAll(*spool_).size(), 1u);
  Reopen();
  const auto last = spool_->LastSeqs(1);
  ASSERT_TRUE(last.ok());
  ASSERT_EQ(last->size(), 2u);
  EXPECT_EQ((*last)[0].stream(), v1::STREAM_LOG);
  EXPECT_EQ((*last)[1].stream(), v1::STREAM_EVENT);
  EXPECT_EQ((*last)[1].last_seq(), 5);
}

TEST_F(SpoolTest, UploadedIsToldOnceEverythingOfAFinishedAttemptIsAcknowledged) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  spool_->Append(EventFrame(1, 1));
  spool_->Acknowledge(Cursor(1, v1::STREAM_EVENT, 1));
  spool_->Flush();
  EXPECT_THAT(heard_.uploaded(), ElementsAre()) << "it has not ended";
  ASSERT_TRUE(spool_->Finish(FinalFrame(1)).ok());
  EXPECT_TRUE(spool_->Held()->at(0).finished);
  spool_->Flush();
  EXPECT_THAT(heard_.uploaded(), ElementsAre());
  spool_->Acknowledge(Cursor(1, v1::STREAM_FINAL, 1));
  spool_->Flush();
  EXPECT_THAT(heard_.uploaded(), ElementsAre(1));
  Reopen();
  spool_->CheckUploaded();
  spool_->Flush();
  EXPECT_THAT(heard_.uploaded(), ElementsAre(1, 1)) << "found again after a restart";
}

TEST(SpoolAcknowledgements, TravelWithFramesWhileAnAttemptGoesOnAndAtOnceAfterIt) {
  const TempDir dir;
  Heard heard;
  SpoolOptions options = TestSpoolOptions(dir.path(), &heard);
  options.acknowledged_window = std::chrono::hours(1);
  const auto spool = OpenSpool(std::move(options));
  ASSERT_TRUE(spool->PersistGrant(MakeGrant(1)).ok());
  spool->Append(EventFrame(1, 1));
  while (heard.committed() < 1) std::this_thread::yield();
  spool->Acknowledge(Cursor(1, v1::STREAM_EVENT, 1));
  spool->Append(EventFrame(1, 2));
  while (heard.committed() < 2) std::this_thread::yield();
  ASSERT_EQ(ReadAll(*spool).size(), 1u);
  EXPECT_EQ(ReadAll(*spool)[0].frame.seq(), 2);
  spool->Acknowledge(Cursor(1, v1::STREAM_EVENT, 2));
  ASSERT_TRUE(spool->Finish(FinalFrame(1)).ok());
  spool->Acknowledge(Cursor(1, v1::STREAM_FINAL, 1));
  while (heard.uploaded().empty()) std::this_thread::yield();
  EXPECT_EQ(spool->stored_bytes(), 0);
}

TEST_F(SpoolTest, FramesOfForgottenOrUnknownAttemptsAreNotKept) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  spool_->Append(EventFrame(1, 1));
  spool_->Forget(1);
  spool_->Append(EventFrame(1, 2));
  spool_->Append(EventFrame(99, 1));
  spool_->Flush();
  EXPECT_TRUE(ReadAll(*spool_).empty());
  EXPECT_EQ(spool_->stored_bytes(), 0);
}

TEST_F(SpoolTest, SecondFinalChangesNothing) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  ASSERT_TRUE(spool_->Finish(FinalFrame(1)).ok());
  const std::string first = ReadAll(*spool_).at(0).frame.SerializeAsString();
  v1::Final other;
  other.set_outcome(v1::OUTCOME_FAILED);
  ASSERT_TRUE(spool_->Finish(MakeFrame(1, v1::STREAM_FINAL, 1, other.SerializeAsString())).ok());
  ASSERT_EQ(ReadAll(*spool_).size(), 1u);
  EXPECT_EQ(ReadAll(*spool_)[0].frame.SerializeAsString(), first);
}

TEST_F(SpoolTest, FrameIdFindsExactlyThatFrame) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  for (int seq = 1; seq <= 3; ++seq) spool_->Append(EventFrame(1, seq));
  spool_->Flush();
  const auto id = spool_->FrameId(Cursor(1, v1::STREAM_EVENT, 2));
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(*id, ReadAll(*spool_)[1].id);
  EXPECT_TRUE(absl::IsNotFound(spool_->FrameId(Cursor(1, v1::STREAM_EVENT, 4)).status()));
  EXPECT_TRUE(absl::IsNotFound(spool_->FrameId(Cursor(1, v1::STREAM_LOG, 2)).status()));
}

TEST_F(SpoolTest, IdsGrowEvenWhenEverythingWasAcknowledged) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  spool_->Append(EventFrame(1, 1));
  spool_->Flush();
  const std::int64_t first = ReadAll(*spool_)[0].id;
  spool_->Acknowledge(Cursor(1, v1::STREAM_EVENT, 1));
  spool_->Append(EventFrame(1, 2));
  spool_->Flush();
  EXPECT_GT(ReadAll(*spool_)[0].id, first);
}

TEST_F(SpoolTest, JournalKeepsProcessesOfThisBootOnly) {
  ASSERT_TRUE(spool_->Started(100, 5000).ok());
  ASSERT_TRUE(spool_->Started(101, 5001).ok());
  spool_->Ended(100);
  Reopen();
  const auto left = spool_->Leftovers();
  ASSERT_TRUE(left.ok());
  ASSERT_EQ(left->size(), 1u);
  EXPECT_EQ((*left)[0].pid, 101);
  EXPECT_EQ((*left)[0].start_ticks, 5001u);
  spool_.reset();
  SpoolOptions options = TestSpoolOptions(dir_.path());
  options.boot_id = "boot-2";
  spool_ = OpenSpool(std::move(options));
  EXPECT_TRUE(spool_->Leftovers()->empty());
}

TEST_F(SpoolTest, CommitsAreGroupedAndTold) {
  ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
  for (int seq = 1; seq <= 500; ++seq) spool_->Append(EventFrame(1, seq));
  spool_->Flush();
  EXPECT_EQ(ReadAll(*spool_).size(), 500u);
  EXPECT_GE(heard_.committed(), 1);
  EXPECT_LT(heard_.committed(), 250);
}

}  // namespace
}  // namespace joulefarm::agent
