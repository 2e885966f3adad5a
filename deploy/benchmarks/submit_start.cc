#include "deploy/benchmarks/submit_start.h"

#include <grpcpp/grpcpp.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "common/stats/stats.h"
#include "deploy/benchmarks/figures.h"
#include "joulefarm/v1/farm_service.grpc.pb.h"

namespace joulefarm::bench {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(20);
constexpr char kExperiment[] =
    "name: submit-start\n"
    "workloads: {w: {kind: command, command: [\"true\"]}}\n"
    "repetitions: 1\nwarmup: 0\npower: {require: none}\n";

std::int64_t BoottimeNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

int Fail(const grpc::Status& status) {
  std::fprintf(stderr, "joulefarm-bench: %s\n", status.error_message().c_str());
  return 1;
}

}  // namespace

int MeasureSubmitStart(const std::string& controller, int count) {
  const auto channel = grpc::CreateChannel(controller, grpc::InsecureChannelCredentials());
  const auto farm = v1::FarmService::NewStub(channel);
  std::vector<double> ms;
  for (int i = 0; i < count; ++i) {
    v1::SubmitExperimentRequest request;
    request.set_text(kExperiment);
    v1::SubmitExperimentResponse response;
    grpc::ClientContext context;
    const std::int64_t called_ns = BoottimeNs();
    grpc::Status status = farm->SubmitExperiment(&context, request, &response);
    if (!status.ok()) return Fail(status);

    v1::GetProgressRequest which;
    which.set_experiment(response.experiment());
    v1::GetProgressResponse progress;
    while (!progress.done()) {
      std::this_thread::sleep_for(kPoll);
      grpc::ClientContext asking;
      status = farm->GetProgress(&asking, which, &progress);
      if (!status.ok()) return Fail(status);
    }

    v1::SqlRequest query;
    query.set_query(
        "select started_ns from attempt join job on job.id = attempt.job_id where job.experiment = "
        "'" +
        response.experiment() + "'");
    grpc::ClientContext querying;
    const auto rows = farm->Sql(&querying, query);
    v1::TableChunk chunk;
    std::int64_t started_ns = 0;
    while (rows->Read(&chunk)) {
      for (const v1::Row& row : chunk.rows()) started_ns = row.cells(0).integer();
    }
    status = rows->Finish();
    if (!status.ok()) return Fail(status);
    if (started_ns <= called_ns) {
      return Fail({grpc::StatusCode::INTERNAL, "an attempt began before it was submitted"});
    }
    ms.push_back(static_cast<double>(started_ns - called_ns) * 1e-6);
  }
  const nlohmann::ordered_json detail = {
      {"submissions", count},
      {"from", "the call of SubmitExperiment (one command job, power none)"},
      {"to",
       "the attempt's first stamp at its agent: after offer, accept, durable grant on both sides"},
      {"min_ms", *std::min_element(ms.begin(), ms.end())},
      {"max_ms", *std::max_element(ms.begin(), ms.end())},
      {"where", "controller, agent and caller on one host, loopback"}};
  PrintFigure("farm.idle_submit_start_p50_ms", *Percentile(ms, 0.50), "ms", detail);
  PrintFigure("farm.idle_submit_start_p99_ms", *Percentile(ms, 0.99), "ms", detail);
  return 0;
}

}  // namespace joulefarm::bench
