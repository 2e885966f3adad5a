// A controller in this process, one attempt granted to a fake agent, and its frames.
//
// Threads: one. Ownership: owns controller and agent; files stay below the folder.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "controller/controller.h"
#include "deploy/benchmarks/fake_agent.h"

namespace joulefarm::bench {

class BenchFarm {
 public:
  // Null, with a message on standard error, when it cannot be started.
  static std::unique_ptr<BenchFarm> Start(const std::filesystem::path& folder);

  void Upload(v1::Stream stream, std::string payload);
  // Declares "bench", a power channel of the signal; its stamps are of the host, or of a clock of
  // that name.
  void DeclareChannel(const std::string& clock = "");
  void AwaitAcknowledged() { agent_->AwaitAcknowledged(); }
  // Ends the attempt and blocks until its results are stored.
  void End(std::int64_t started_ns, std::int64_t ended_ns);

  std::string database() const { return controller_->database(); }
  std::int64_t fence() const { return fence_; }

 private:
  BenchFarm() = default;

  std::unique_ptr<controller::Controller> controller_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<FakeAgent> agent_;
  std::string experiment_;
  std::int64_t fence_ = 0;
  std::map<v1::Stream, std::int64_t> seq_;
};

}  // namespace joulefarm::bench
