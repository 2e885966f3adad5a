#include "agent/telemetry/telemetry_sender.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <vector>

namespace joulefarm::agent {
namespace {

// What the sender did, to be waited for.
class Log {
 public:
  void Sent(Connection connection, double watts) {
    const std::lock_guard lock(mutex_);
    sent_.emplace_back(connection, watts);
    changed_.notify_all();
  }
  void Rested() {
    const std::lock_guard lock(mutex_);
    ++rests_;
    changed_.notify_all();
  }
  // The first so many; fails the test when they do not come in a minute.
  std::vector<std::pair<Connection, double>> WaitFor(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::minutes(1), [&] { return sent_.size() >= count; }));
    return sent_;
  }
  bool WaitForRest() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] { return rests_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<Connection, double>> sent_;
  int rests_ = 0;
};

v1::WatchDevice Ask(std::int64_t for_ns) {
  v1::WatchDevice ask;
  ask.set_period_ns(250'000'000);
  ask.set_for_ns(for_ns);
  return ask;
}

TEST(TelemetrySender, ReadsAndSendsToWhoeverAskedLastThenRests) {
  Log log;
  double watts = 0;
  TelemetrySender sender({.tell = [&](Connection connection) { log.Sent(connection, ++watts); },
                          .rest = [&log] { log.Rested(); }});
  sender.Ask(7, Ask(0));
  EXPECT_EQ(log.WaitFor(1).at(0), std::make_pair(Connection{7}, 1.0));
  EXPECT_TRUE(log.WaitForRest());
  sender.Ask(8, Ask(600'000'000'000));
  EXPECT_EQ(log.WaitFor(3).at(2), std::make_pair(Connection{8}, 3.0));
  // The destructor ends a watch that goes on.
}

TEST(TelemetrySender, NeverAskedItHasNothingToStop) {
  TelemetrySender sender({.tell = [](Connection) { ADD_FAILURE(); }, .rest = [] {}});
}

}  // namespace
}  // namespace joulefarm::agent
