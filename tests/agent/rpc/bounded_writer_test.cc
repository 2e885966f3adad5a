#include "agent/rpc/bounded_writer.h"

#include <gtest/gtest.h>

#include <vector>

namespace joulefarm::agent {
namespace {

class BoundedWriterTest : public testing::Test {
 protected:
  std::vector<int> started_;
  BoundedWriter<int> writer_{3, [this](const int* message) { started_.push_back(*message); }};
};

TEST_F(BoundedWriterTest, OneInFlightInOrder) {
  writer_.Push(1);
  writer_.Push(2);
  EXPECT_EQ(started_, (std::vector<int>{1}));
  writer_.Done();
  EXPECT_EQ(started_, (std::vector<int>{1, 2}));
  writer_.Done();
  writer_.Push(3);
  EXPECT_EQ(started_, (std::vector<int>{1, 2, 3}));
}

TEST_F(BoundedWriterTest, BoundIsKept) {
  EXPECT_TRUE(writer_.Push(1));
  EXPECT_TRUE(writer_.Push(2));
  EXPECT_TRUE(writer_.Push(3));
  EXPECT_FALSE(writer_.Push(4));
  writer_.Done();
  EXPECT_TRUE(writer_.Push(5));
}

TEST_F(BoundedWriterTest, WhatIsInFlightWaitsToo) {
  EXPECT_EQ(writer_.waiting(), 0U);
  writer_.Push(1);
  writer_.Push(2);
  EXPECT_EQ(writer_.waiting(), 2U);
  writer_.Done();
  writer_.Done();
  EXPECT_EQ(writer_.waiting(), 0U);
}

TEST_F(BoundedWriterTest, WhatIsUrgentOvertakesAllButTheOneInFlight) {
  EXPECT_TRUE(writer_.Push(1));
  EXPECT_TRUE(writer_.Push(2));
  EXPECT_TRUE(writer_.PushFirst(9));
  EXPECT_FALSE(writer_.PushFirst(8));
  writer_.Done();
  writer_.Done();
  EXPECT_EQ(started_, (std::vector<int>{1, 9, 2}));
  writer_.Done();
  EXPECT_TRUE(writer_.PushFirst(7));
  EXPECT_EQ(started_.back(), 7);
}

TEST_F(BoundedWriterTest, NothingStartsAfterClose) {
  writer_.Push(1);
  writer_.Push(2);
  writer_.Close();
  writer_.Push(3);
  writer_.Done();
  EXPECT_EQ(started_, (std::vector<int>{1}));
}

}  // namespace
}  // namespace joulefarm::agent
