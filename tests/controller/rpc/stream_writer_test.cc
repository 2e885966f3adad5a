#include "controller/rpc/stream_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace joulefarm::controller {
namespace {

using testing::ElementsAre;

// A stream whose writes end when the test says so.
class Reactor {
 public:
  void StartWrite(const int* message) { written_.push_back(*message); }
  void Finish(const grpc::Status& status) { ended_.push_back(status.error_code()); }

  StreamWriter<Reactor, int> writer_{*this, 4};
  std::vector<int> written_;
  std::vector<grpc::StatusCode> ended_;
};

TEST(StreamWriter, OneWriteInFlightInOrderThenTheEnd) {
  Reactor stream;
  stream.writer_.Send(1);
  stream.writer_.Send(2);
  EXPECT_THAT(stream.written_, ElementsAre(1));
  stream.writer_.Close(grpc::Status::OK);
  stream.writer_.OnWriteDone(true);
  EXPECT_THAT(stream.written_, ElementsAre(1, 2));
  EXPECT_TRUE(stream.ended_.empty());
  stream.writer_.OnWriteDone(true);
  EXPECT_THAT(stream.ended_, ElementsAre(grpc::StatusCode::OK));
}

TEST(StreamWriter, WhatMayBeLostGivesWayAndEndsNothing) {
  Reactor stream;
  EXPECT_TRUE(stream.writer_.SendUnlessBusy(1, 2));
  EXPECT_TRUE(stream.writer_.SendUnlessBusy(2, 2));
  EXPECT_FALSE(stream.writer_.SendUnlessBusy(3, 2));
  stream.writer_.Send(4);  // what may not be lost still goes
  for (int i = 0; i < 3; ++i) stream.writer_.OnWriteDone(true);
  EXPECT_THAT(stream.written_, ElementsAre(1, 2, 4));
  EXPECT_TRUE(stream.ended_.empty());
  EXPECT_TRUE(stream.writer_.SendUnlessBusy(5, 2));
  stream.writer_.Close(grpc::Status::OK);
  EXPECT_FALSE(stream.writer_.SendUnlessBusy(6, 2));
}

TEST(StreamWriter, WhatIsUrgentOvertakesAllButTheOneInFlight) {
  Reactor stream;
  const auto fill = [](int& message) { message += 70; };
  stream.writer_.Send(1);
  stream.writer_.Send(2);
  stream.writer_.SendFirst(5, fill);
  stream.writer_.Send(3);
  stream.writer_.SendFirst(6, fill);  // four wait: it is dropped, and nothing ends
  for (int i = 0; i < 4; ++i) stream.writer_.OnWriteDone(true);
  EXPECT_THAT(stream.written_, ElementsAre(1, 75, 2, 3));
  stream.writer_.SendFirst(8, fill);
  EXPECT_EQ(stream.written_.back(), 78);
  EXPECT_TRUE(stream.ended_.empty());
}

TEST(StreamWriter, APeerThatDoesNotReadLosesTheStream) {
  Reactor stream;
  for (int i = 0; i < 5; ++i) stream.writer_.Send(i);
  for (int i = 0; i < 4; ++i) stream.writer_.OnWriteDone(true);
  EXPECT_THAT(stream.written_, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(stream.ended_, ElementsAre(grpc::StatusCode::RESOURCE_EXHAUSTED));
}

}  // namespace
}  // namespace joulefarm::controller
