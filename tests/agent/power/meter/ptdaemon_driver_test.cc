// The driver against a peer over TCP that speaks as PTDaemon does.
#include "agent/power/meter/ptdaemon_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <mutex>

#include "absl/strings/match.h"
#include "agent/power/link/tcp_link.h"
#include "tests/agent/power/link/tcp_peer.h"

namespace joulefarm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kLongMs = 20'000;

std::string Sample(const std::string& watts) {
  return absl::StrCat("Time,01-22-2021 15:05:14.313,Watts,", watts,
                      ",Volts,227.37,Amps,0.2,PF,0.4944,Mark,notset\r\n");
}

// Answers commands; replies to RL are taken from a list.
class Daemon {
 public:
  explicit Daemon(std::deque<std::string> replies, std::string hello = "Hello, PTDaemon here!\r\n")
      : replies_(std::move(replies)),
        hello_(std::move(hello)),
        peer_([this](TcpPeer::Connection& connection) { Serve(connection); }) {
    link_ = *ConnectTcp(peer_.address(), 8888, kLongMs);
  }
  Link& link() { return *link_; }
  // What has been asked, after hanging up.
  std::vector<std::string> End() {
    link_.reset();
    ended_.get_future().wait();
    return asked_;
  }

 private:
  void Serve(TcpPeer::Connection& connection) {
    while (const std::optional<std::string> command = connection.ReadLine()) {
      asked_.push_back(*command);
      if (*command == "Hello") connection.Send(hello_);
      if (*command == "Identify") connection.Send("YokogawaWT310,8,1.9.2\r\n");
      if (absl::StartsWith(*command, "Go,")) {
        connection.Send(
            "Starting untimed measurement, maximum 500000 samples at 1000ms with 0 rampup "
            "samples\r\n");
      }
      if (*command == "Stop") connection.Send("Stopping untimed measurement\r\n");
      if (*command != "RL") continue;
      const std::string reply = replies_.empty() ? "Last 0 samples\r\n" : replies_.front();
      if (!replies_.empty()) replies_.pop_front();
      if (reply == "hang up") break;
      connection.Send(reply);
    }
    ended_.set_value();
  }

  std::deque<std::string> replies_;
  const std::string hello_;
  std::vector<std::string> asked_;
  std::promise<void> ended_;
  TcpPeer peer_;
  std::unique_ptr<Link> link_;
};

TEST(PtdaemonDriverTest, AConversation) {
  Daemon daemon({absl::StrCat("Last 1 samples\r\n", Sample("23.5"))});
  std::int64_t now_ns = 0;
  PtdaemonDriver driver([&now_ns] { return now_ns += 1'000; });
  const absl::StatusOr<MeterIdentity> identity = driver.Start(daemon.link(), 0);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->firmware, "YokogawaWT310,8,1.9.2");
  MeterBatch batch;
  ASSERT_TRUE(driver.Step(daemon.link(), batch).ok());
  ASSERT_THAT(batch.samples, SizeIs(1));
  EXPECT_EQ(batch.samples[0].power_w, 23.5);
  EXPECT_EQ(batch.samples[0].t_ns, 1'611'327'914'313'000'000);
  EXPECT_EQ(batch.asked_ns, 1'000) << "after the start, before the question";
  EXPECT_EQ(batch.arrived_ns, 3'000);
  MeterBatch nothing;
  ASSERT_TRUE(driver.Step(daemon.link(), nothing).ok());
  EXPECT_THAT(nothing.samples, IsEmpty());
  EXPECT_EQ(nothing.rejected, 0);
  driver.Stop(daemon.link());
  EXPECT_THAT(daemon.End(), ElementsAre("Hello", "Identify", "Go,1000,0", "RL", "RL", "Stop"));
}

TEST(PtdaemonDriverTest, ADamagedLineIsCountedAndTheOthersAreThere) {
  Daemon daemon({absl::StrCat("Last 2 samples\r\n", Sample("2x"), Sample("23.5"))});
  PtdaemonDriver driver([] { return std::int64_t{0}; });
  ASSERT_TRUE(driver.Start(daemon.link(), 1).ok());
  MeterBatch batch;
  ASSERT_TRUE(driver.Step(daemon.link(), batch).ok());
  ASSERT_THAT(batch.samples, SizeIs(1));
  EXPECT_EQ(batch.samples[0].power_w, 23.5);
  EXPECT_EQ(batch.rejected, 1);
  EXPECT_THAT(batch.refusal, HasSubstr("\"2x\" is out of range"));
}

TEST(PtdaemonDriverTest, AnotherServerIsRefused) {
  Daemon daemon({}, "SSH-2.0-OpenSSH_9.2\r\n");
  PtdaemonDriver driver;
  const absl::Status started = driver.Start(daemon.link(), 0).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(started)) << started;
  EXPECT_THAT(std::string(started.message()), HasSubstr("SSH-2.0"));
}

TEST(PtdaemonDriverTest, AnotherAnswerIsAnError) {
  for (const char* reply : {"Unknown command\r\n", "Last x samples\r\n", "Last -1 samples\r\n",
                            "Last 99999999 samples\r\n"}) {
    Daemon daemon({reply});
    PtdaemonDriver driver;
    ASSERT_TRUE(driver.Start(daemon.link(), 0).ok());
    MeterBatch batch;
    EXPECT_TRUE(absl::IsInternal(driver.Step(daemon.link(), batch))) << reply;
  }
}

TEST(PtdaemonDriverTest, HangingUpIsUnavailable) {
  Daemon daemon({"hang up"});
  PtdaemonDriver driver;
  ASSERT_TRUE(driver.Start(daemon.link(), 0).ok());
  MeterBatch batch;
  EXPECT_TRUE(absl::IsUnavailable(driver.Step(daemon.link(), batch)));
  driver.Stop(daemon.link());
}

TEST(PtdaemonDriverTest, AReplyInPiecesGoesOnWithTheNextStep) {
  std::promise<void> go_on;
  TcpPeer peer([&](TcpPeer::Connection& connection) {
    for (const char* reply : {"Hello, PTDaemon here!\r\n", "me\r\n", "Starting\r\n"}) {
      connection.ReadLine();
      connection.Send(reply);
    }
    connection.ReadLine();
    connection.Send("Last 2 samples\r\n" + Sample("1") + "Time,01-22");
    go_on.get_future().wait();
    connection.Send(Sample("2").substr(std::string("Time,01-22").size()));
    EXPECT_EQ(connection.ReadLine(), std::nullopt) << "no second question meanwhile";
  });
  std::unique_ptr<Link> link = *ConnectTcp(peer.address(), 1, kLongMs);
  PtdaemonDriver driver([] { return std::int64_t{0}; });
  ASSERT_TRUE(driver.Start(*link, 0).ok());
  MeterBatch batch;
  ASSERT_TRUE(driver.Step(*link, batch).ok());
  EXPECT_EQ(batch.lost, 1) << "the first; it waited no longer for the second";
  go_on.set_value();
  ASSERT_TRUE(driver.Step(*link, batch).ok());
  ASSERT_THAT(batch.samples, SizeIs(1)) << "of several the last is the newest";
  EXPECT_EQ(batch.samples[0].power_w, 2);
  EXPECT_EQ(batch.lost, 1);
  link.reset();
}

TEST(PtdaemonDriverTest, OneThatNeverGoesOnIsAnErrorInTheEnd) {
  Daemon daemon({"Last 1 samples\r\n"});
  PtdaemonDriver driver;
  ASSERT_TRUE(driver.Start(daemon.link(), 0).ok());
  absl::Status status;
  MeterBatch batch;
  int steps = 0;
  for (; status.ok() && steps < 1'000; ++steps) status = driver.Step(daemon.link(), batch);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_GT(steps, 1) << "it gives the thread back in between";
}

}  // namespace
}  // namespace joulefarm::agent
