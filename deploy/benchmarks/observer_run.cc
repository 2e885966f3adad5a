#include "deploy/benchmarks/observer_run.h"

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/process/boottime.h"
#include "agent/process/stop_fd.h"
#include "agent/workload/http.h"
#include "agent/workload/tcp.h"

namespace joulefarm::bench {
namespace {

using agent::TcpConnection;

constexpr std::int64_t kPatienceNs = 60'000'000'000;
constexpr int kWarmUpTokens = 512;
constexpr double kFewestTokens = 16;
constexpr double kMostTokens = 3'500;  // of a context of 4096
// Of a core, for an agent that samples; one that only waits and is stopped and continued takes
// less.
constexpr double kLeastShare = 0.001;

// Goes on when this ends.
class StoppableAgent {
 public:
  explicit StoppableAgent(pid_t pid) : pid_(pid) {}
  ~StoppableAgent() { ::kill(pid_, SIGCONT); }
  StoppableAgent(const StoppableAgent&) = delete;
  StoppableAgent& operator=(const StoppableAgent&) = delete;

  absl::Status Let(bool go_on) const {
    if (::kill(pid_, go_on ? SIGCONT : SIGSTOP) == 0) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, absl::StrCat("the agent, process ", pid_));
  }
  absl::StatusOr<double> CpuSeconds() const {
    clockid_t clock = 0;
    timespec spent{};
    if (const int error = ::clock_getcpuclockid(pid_, &clock); error != 0)
      return absl::ErrnoToStatus(error, absl::StrCat("the agent, process ", pid_));
    if (::clock_gettime(clock, &spent) != 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("the agent, process ", pid_));
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
  }

 private:
  const pid_t pid_;
};

// Tokens/s of the decoding, by the engine's own clock.
absl::StatusOr<double> Ask(std::uint16_t port, int tokens) {
  const nlohmann::json body = {{"prompt", "the power of the model is energy"},
                               {"n_predict", tokens},
                               {"cache_prompt", false},
                               {"ignore_eos", true},
                               {"temperature", 0},
                               {"top_k", 1}};
  const agent::StopFd never{std::stop_token()};
  const agent::Endpoint endpoint = agent::LoopbackEndpoint(port);
  const std::int64_t deadline_ns = agent::BoottimeNs() + kPatienceNs;
  TcpConnection connection;
  agent::HttpResponse response;
  auto result = connection.Connect(endpoint, deadline_ns, never);
  if (result == TcpConnection::Result::kOk) {
    result = connection.Write(agent::HttpRequest("POST", "/completion", endpoint.host, body.dump()),
                              deadline_ns, never);
  }
  std::string text;
  std::string bytes;
  std::int64_t t_ns = 0;
  while (result == TcpConnection::Result::kOk && !response.done()) {
    result = connection.Read(bytes, t_ns, deadline_ns, never);
    if (result == TcpConnection::Result::kEnd) response.FeedEnd();
    if (result == TcpConnection::Result::kOk && !response.Feed(bytes)) break;
    if (response.has_header()) text += response.TakeBody();
  }
  const nlohmann::json answer = nlohmann::json::parse(text, nullptr, false);
  const nlohmann::json::json_pointer speed("/timings/predicted_per_second");
  if (!response.done() || !answer.is_object() || !answer.contains(speed) ||
      !answer[speed].is_number()) {
    return absl::UnavailableError(absl::StrCat(
        "the engine on port ", port, " does not answer as llama-server does: ", connection.error(),
        response.error(), text.substr(0, 200)));
  }
  return answer[speed].get<double>();
}

}  // namespace

absl::StatusOr<ObserverTrace> RunObserver(const ObserverSetting& setting) {
  const StoppableAgent agent(setting.agent);
  ObserverTrace trace;
  absl::StatusOr<double> speed;
  for (int i = 0; i < 2; ++i) {  // the first one is slower
    speed = Ask(setting.port, kWarmUpTokens);
    if (!speed.ok()) return speed.status();
  }
  trace.tokens = static_cast<int>(std::clamp(
      *speed * static_cast<double>(setting.segment_ns) * 1e-9, kFewestTokens, kMostTokens));
  for (int i = 0; i < setting.blocks; ++i) {
    ObserverBlock& block = trace.blocks.emplace_back();
    for (std::size_t segment = 0; segment < block.size(); ++segment) {
      const bool sampled = IsSampled(segment);
      if (const absl::Status let = agent.Let(sampled); !let.ok()) return let;
      const absl::StatusOr<double> cpu_s = agent.CpuSeconds();
      if (!cpu_s.ok()) return cpu_s.status();
      const std::int64_t start_ns = agent::BoottimeNs();
      speed = Ask(setting.port, trace.tokens);
      if (!speed.ok()) return speed.status();
      block[segment] = *speed;
      if (!sampled) continue;
      const absl::StatusOr<double> now_s = agent.CpuSeconds();
      if (!now_s.ok()) return now_s.status();
      trace.agent_cpu_s += *now_s - *cpu_s;
      trace.sampled_s += static_cast<double>(agent::BoottimeNs() - start_ns) * 1e-9;
    }
  }
  if (trace.agent_cpu_s < kLeastShare * trace.sampled_s) {
    return absl::FailedPreconditionError(
        absl::StrCat("the agent, process ", setting.agent, ", did nothing while it was to sample"));
  }
  return trace;
}

}  // namespace joulefarm::bench
