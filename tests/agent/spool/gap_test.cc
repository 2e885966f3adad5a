#include "agent/spool/gap.h"

#include <gtest/gtest.h>

#include "common/crc32c/crc32c.h"
#include "tests/agent/spool/spool_fixture.h"

namespace joulefarm::agent {
namespace {

TEST(GapTest, TraceKeepsCountAndTimesAndSaysGap) {
  v1::Frame frame = PowerFrame(1, 4, 1000);
  ASSERT_TRUE(Degrade(frame));
  EXPECT_EQ(frame.seq(), 4);
  EXPECT_EQ(frame.crc32c(), Crc32c(frame.payload()));
  EXPECT_LT(frame.payload().size(), 100u);
  const v1::TraceChunk chunk = FirstChunk(frame);
  EXPECT_TRUE(chunk.gap());
  EXPECT_TRUE(chunk.data().empty());
  EXPECT_EQ(chunk.n(), 10);
  EXPECT_EQ(chunk.t0_ns(), 100);
  EXPECT_EQ(chunk.t1_ns(), 200);
  EXPECT_EQ(chunk.channel(), "estimated");
  EXPECT_FALSE(Degrade(frame)) << "a gap stays what it is";
}

TEST(GapTest, LogLinesBecomeANoteThatCountsThem) {
  v1::Frame frame = LogFrame(1, 2, 1000);
  ASSERT_TRUE(Degrade(frame));
  v1::LogBatch batch;
  ASSERT_TRUE(batch.ParseFromString(frame.payload()));
  ASSERT_EQ(batch.lines_size(), 1);
  EXPECT_EQ(batch.lines(0).text(), "1 line was dropped here: the agent's spool is full");
  EXPECT_EQ(batch.lines(0).t_ns(), 5);
  EXPECT_EQ(frame.crc32c(), Crc32c(frame.payload()));
}

TEST(GapTest, WhatMustNotBeLostStays) {
  for (v1::Frame frame : {EventFrame(1, 1, 5000), FinalFrame(1),
                          MakeFrame(1, v1::STREAM_METRIC, 1, std::string(5000, 'm')),
                          MakeFrame(1, v1::STREAM_TOKEN, 1, std::string(5000, 't'))}) {
    const std::string before = frame.SerializeAsString();
    EXPECT_FALSE(Degrade(frame));
    EXPECT_EQ(frame.SerializeAsString(), before);
  }
}

}  // namespace
}  // namespace joulefarm::agent
