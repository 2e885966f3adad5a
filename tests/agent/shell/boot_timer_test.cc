#include "agent/boot_timer.h"

#include <gtest/gtest.h>

#include "agent/process/boottime.h"

namespace joulefarm::agent {
namespace {

TEST(BootTimerTest, FiresNotBeforeItsDeadline) {
  boost::asio::io_context io;
  std::int64_t fired_ns = 0;
  BootTimer timer(io, [&] {
    fired_ns = BoottimeNs();
    io.stop();
  });
  const std::int64_t deadline = BoottimeNs() + 5'000'000;
  timer.Arm(deadline);
  io.run();
  EXPECT_GE(fired_ns, deadline);
}

TEST(BootTimerTest, PastDeadlineFiresAtOnceAndAgainWhenArmedAgain) {
  boost::asio::io_context io;
  int fired = 0;
  BootTimer* self = nullptr;
  BootTimer timer(io, [&] { ++fired < 3 ? self->Arm(0) : io.stop(); });
  self = &timer;
  timer.Arm(0);
  io.run();
  EXPECT_EQ(fired, 3);
}

TEST(BootTimerTest, DisarmedOrReplacedDeadlinesDoNotFire) {
  boost::asio::io_context io;
  int fired = 0;
  BootTimer disarmed(io, [&] { ++fired; });
  disarmed.Arm(BoottimeNs() + 1'000'000);
  disarmed.Disarm();
  BootTimer replaced(io, [&] { ++fired; });
  replaced.Arm(BoottimeNs() + 1'000'000);
  replaced.Arm(BoottimeNs() + 3600'000'000'000);
  BootTimer end(io, [&] { io.stop(); });
  end.Arm(BoottimeNs() + 20'000'000);
  io.run();
  EXPECT_EQ(fired, 0);
}

}  // namespace
}  // namespace joulefarm::agent
