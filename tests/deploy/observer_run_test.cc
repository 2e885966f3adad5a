#include "deploy/benchmarks/observer_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/agent/power/link/tcp_peer.h"

namespace joulefarm::bench {
namespace {

using agent::TcpPeer;
using testing::HasSubstr;

// A process that works all the time, and can be stopped.
class Worker {
 public:
  explicit Worker(bool works = true) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::execlp("sh", "sh", "-c", works ? "while :; do :; done" : "exec sleep 1000", nullptr);
    ::_exit(127);
  }
  ~Worker() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  pid_t pid() const { return pid_; }
  // A signal takes a moment to arrive.
  bool IsStoppedSoon() const {
    return Soon([this] { return absl::StrContains(Stat(), ") T "); });
  }
  bool WorksOnSoon() const {
    const double before_s = CpuSeconds();
    return Soon([&] { return CpuSeconds() > before_s; });
  }
  bool Sleeps() const {
    return Soon([this] { return absl::StrContains(Stat(), "(sleep) S "); });
  }
  bool IsNotStoppedSoon() const {
    return Soon([this] { return !absl::StrContains(Stat(), ") T "); });
  }

 private:
  static bool Soon(const std::function<bool()>& is) {
    for (int i = 0; i < 20'000; ++i) {
      if (is()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  std::string Stat() const {
    std::string stat;
    std::getline(std::ifstream(absl::StrCat("/proc/", pid_, "/stat")), stat);
    return stat;
  }
  double CpuSeconds() const {
    clockid_t clock = 0;
    timespec spent{};
    EXPECT_EQ(::clock_getcpuclockid(pid_, &clock), 0);
    EXPECT_EQ(::clock_gettime(clock, &spent), 0);
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
  }

  const pid_t pid_;
};

// Reads one request; the tokens that are asked for.
int TokensAskedFor(TcpPeer::Connection& connection) {
  int length = 0;
  for (auto line = connection.ReadLine(); line && !line->empty(); line = connection.ReadLine()) {
    const std::size_t colon = line->find(": ");
    if (absl::StartsWithIgnoreCase(*line, "content-length:")) {
      EXPECT_TRUE(absl::SimpleAtoi(line->substr(colon + 2), &length));
    }
  }
  const std::string body = connection.Read(static_cast<std::size_t>(length)).value_or("");
  const std::string key = "\"n_predict\":";
  const std::size_t at = body.find(key);
  if (at == std::string::npos) return 0;
  return std::stoi(body.substr(at + key.size()));
}

void Answer(TcpPeer::Connection& connection, const std::string& body) {
  connection.Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(),
                               "\r\nConnection: close\r\n\r\n", body));
}

TEST(ObserverRunTest, TheAgentIsStoppedInAAndGoesOnInB) {
  const Worker worker;
  int requests = 0;
  int as_expected = 0;
  int other_tokens = 0;
  TcpPeer engine(
      [&](TcpPeer::Connection& connection) {
        const int tokens = TokensAskedFor(connection);
        const int segment = requests++ - 2;  // two to warm up
        if (segment >= 0) {
          const int of_block = segment % 8;
          const bool sampled = of_block >= 2 && of_block <= 5;
          if (sampled ? worker.WorksOnSoon() : worker.IsStoppedSoon()) ++as_expected;
          if (tokens != 100) ++other_tokens;
        }
        Answer(connection, absl::StrCat(R"({"content": "x", "timings": {"predicted_per_second": )",
                                        segment < 0 ? 1005 : 1000 + segment, "}}"));
      },
      2 + 3 * 8);
  const absl::StatusOr<ObserverTrace> trace =
      RunObserver({static_cast<std::uint16_t>(engine.port()), worker.pid(), 3, 100'000'000});
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ(as_expected, 24);
  EXPECT_EQ(other_tokens, 0) << "a tenth of a second at the speed of the second request";
  EXPECT_EQ(trace->tokens, 100);
  ASSERT_EQ(trace->blocks.size(), 3U);
  EXPECT_EQ(trace->blocks[0], (ObserverBlock{1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007}));
  EXPECT_EQ(trace->blocks[2][7], 1023);
  EXPECT_GT(trace->agent_cpu_s, 0);
  EXPECT_GT(trace->sampled_s, 0);
  EXPECT_TRUE(worker.IsNotStoppedSoon()) << "it goes on afterwards";
}

TEST(ObserverRunTest, AnEngineThatAnswersOtherwiseEndsItAndTheAgentGoesOn) {
  const Worker worker;
  int requests = 0;
  TcpPeer engine(
      [&](TcpPeer::Connection& connection) {
        TokensAskedFor(connection);
        Answer(connection, ++requests < 4 ? R"({"timings": {"predicted_per_second": 500}})"
                                          : R"({"error": "no model"})");
      },
      4);
  const absl::StatusOr<ObserverTrace> trace =
      RunObserver({static_cast<std::uint16_t>(engine.port()), worker.pid(), 3, 100'000'000});
  EXPECT_EQ(trace.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(trace.status().message()), HasSubstr("no model"));
  EXPECT_TRUE(worker.IsNotStoppedSoon());
}

TEST(ObserverRunTest, AnAgentThatDoesNothingWasNotSampling) {
  const Worker worker(false);
  // It is a shell first, which becomes a program that sleeps.
  ASSERT_TRUE(worker.Sleeps());
  TcpPeer engine(
      [](TcpPeer::Connection& connection) {
        TokensAskedFor(connection);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it decodes
        Answer(connection, R"({"timings": {"predicted_per_second": 500}})");
      },
      100);
  const absl::StatusOr<ObserverTrace> trace =
      RunObserver({static_cast<std::uint16_t>(engine.port()), worker.pid(), 3, 100'000'000});
  EXPECT_EQ(trace.status().code(), absl::StatusCode::kFailedPrecondition) << trace.status();
}

TEST(ObserverRunTest, AnAgentThatIsNotThereIsSaid) {
  TcpPeer engine(
      [](TcpPeer::Connection& connection) {
        TokensAskedFor(connection);
        Answer(connection, R"({"timings": {"predicted_per_second": 500}})");
      },
      2);
  pid_t gone = 0;
  {
    const Worker worker;
    gone = worker.pid();
  }
  const absl::StatusOr<ObserverTrace> trace =
      RunObserver({static_cast<std::uint16_t>(engine.port()), gone, 3, 100'000'000});
  EXPECT_FALSE(trace.ok());
  EXPECT_THAT(std::string(trace.status().message()), HasSubstr(absl::StrCat("process ", gone)));
}

}  // namespace
}  // namespace joulefarm::bench
