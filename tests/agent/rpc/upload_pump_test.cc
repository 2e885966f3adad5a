#include "agent/rpc/upload_pump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/agent/spool/spool_fixture.h"
#include "tests/agent/temp_dir.h"

namespace joulefarm::agent {
namespace {

class UploadPumpTest : public testing::Test {
 protected:
  void SetUp() override {
    spool_ = OpenSpool(TestSpoolOptions(dir_.path(), &heard_));
    ASSERT_TRUE(spool_->PersistGrant(MakeGrant(1)).ok());
    pump_ = std::make_unique<UploadPump>(
        spool_.get(),
        UploadPump::Handlers{
            .send = [this](v1::UploadRequest request) { sent_.push_back(std::move(request)); },
            .refused = [this](std::int64_t fence, v1::Stream stream,
                              const std::string&) { refused_.emplace_back(fence, stream); },
            .missing = [this](std::int64_t fence,
                              const std::string&) { missing_.push_back(fence); },
            .trouble = [](const absl::Status& status) { ADD_FAILURE() << status; }});
  }
  void Append(int from, int to, std::size_t bytes = 10) {
    for (int seq = from; seq <= to; ++seq) spool_->Append(EventFrame(1, seq, bytes));
    spool_->Flush();
  }
  // The seqs of the event stream sent since the last call.
  std::vector<std::int64_t> Seqs() {
    std::vector<std::int64_t> seqs;
    for (const v1::UploadRequest& request : sent_) {
      for (const v1::Frame& frame : request.frames().frames()) seqs.push_back(frame.seq());
    }
    sent_.clear();
    return seqs;
  }
  static v1::UploadResponse Ack(std::int64_t seq) {
    v1::UploadResponse response;
    *response.add_acks() = Cursor(1, v1::STREAM_EVENT, seq);
    return response;
  }

  TempDir dir_;
  Heard heard_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<UploadPump> pump_;
  std::vector<v1::UploadRequest> sent_;
  std::vector<std::pair<std::int64_t, int>> refused_;
  std::vector<std::int64_t> missing_;
};

using testing::ElementsAre;

TEST_F(UploadPumpTest, HelloFirstThenEverythingInOrder) {
  Append(1, 3);
  pump_->Pump();
  EXPECT_TRUE(sent_.empty()) << "no stream is open";
  pump_->Begin("a", 7, {});
  ASSERT_GE(sent_.size(), 2u);
  EXPECT_EQ(sent_[0].hello().agent_id(), "a");
  EXPECT_EQ(sent_[0].hello().session_epoch(), 7);
  EXPECT_THAT(Seqs(), ElementsAre(1, 2, 3));
  pump_->Pump();
  EXPECT_THAT(Seqs(), ElementsAre()) << "nothing is sent twice";
  Append(4, 4);
  pump_->Pump();
  EXPECT_THAT(Seqs(), ElementsAre(4));
}

TEST_F(UploadPumpTest, WindowIsKeptAndOpensWithAcknowledgements) {
  Append(1, 60, 50'000);
  pump_->Begin("a", 7, {});
  const std::size_t first = Seqs().size();
  EXPECT_GE(first, 18u);
  EXPECT_LE(first, 22u);
  EXPECT_LE(pump_->in_flight_bytes(), UploadPump::kWindowBytes + 60'000);
  pump_->Received(Ack(10));
  EXPECT_EQ(Seqs().size(), 10u);
  pump_->Received(Ack(static_cast<std::int64_t>(first) + 10));
  EXPECT_EQ(Seqs().size(), first) << "the whole window again";
}

TEST_F(UploadPumpTest, ReconnectSendsAgainWhatTheStoreDoesNotHave) {
  Append(1, 10);
  pump_->Begin("a", 7, {});
  EXPECT_EQ(Seqs().size(), 10u);
  pump_->Received(Ack(3));
  pump_->End();
  pump_->Begin("a", 8, {Cursor(1, v1::STREAM_EVENT, 6)});
  EXPECT_THAT(Seqs(), ElementsAre(7, 8, 9, 10));
  spool_->Flush();
  EXPECT_EQ(ReadAll(*spool_).size(), 4u);
}

TEST_F(UploadPumpTest, ResumeFromRewinds) {
  Append(1, 6);
  pump_->Begin("a", 7, {});
  Seqs();
  v1::UploadResponse response;
  *response.add_resume_from() = Cursor(1, v1::STREAM_EVENT, 2);
  pump_->Received(response);
  EXPECT_THAT(Seqs(), ElementsAre(3, 4, 5, 6));
}

TEST_F(UploadPumpTest, ResumeFromSomethingGoneIsReported) {
  Append(1, 6);
  pump_->Begin("a", 7, {});
  pump_->Received(Ack(5));
  spool_->Flush();
  v1::UploadResponse response;
  *response.add_resume_from() = Cursor(1, v1::STREAM_EVENT, 2);
  pump_->Received(response);
  EXPECT_THAT(missing_, ElementsAre(1));
}

TEST_F(UploadPumpTest, RefusedStreamIsForgottenNowAndLater) {
  Append(1, 3);
  spool_->Append(LogFrame(1, 1, 10));
  spool_->Flush();
  pump_->Begin("a", 7, {});
  Seqs();
  v1::UploadResponse response;
  v1::FrameRejected* rejected = response.add_rejected();
  rejected->set_fence(1);
  rejected->set_stream(v1::STREAM_EVENT);
  rejected->set_seq(1);
  rejected->set_code("STALE_FENCE");
  pump_->Received(response);
  ASSERT_EQ(refused_.size(), 1u);
  EXPECT_EQ(refused_[0], std::make_pair(std::int64_t{1}, static_cast<int>(v1::STREAM_EVENT)));
  Append(4, 5);
  pump_->Pump();
  EXPECT_THAT(Seqs(), ElementsAre());
  ASSERT_TRUE(spool_->Finish(FinalFrame(1)).ok());
  pump_->Pump();
  spool_->Flush();
  EXPECT_EQ(ReadAll(*spool_).size(), 2u) << "log and final";
}

}  // namespace
}  // namespace joulefarm::agent
