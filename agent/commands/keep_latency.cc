#include "agent/commands/keep_latency.h"

#include <cmath>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "agent/power/latency_file.h"

namespace joulefarm::agent {
namespace {

constexpr int kExitNotKept = 1;
constexpr int kExitDisagrees = 3;

int NotKept(absl::string_view why, std::ostream& err) {
  err << why << "\n";
  return kExitNotKept;
}

}  // namespace

int KeepLatency(const LatencyReport& report, const MeterReport& meter, const KeepRequest& request,
                std::int64_t wall_now_ns, std::ostream& out, std::ostream& err) {
  if (!report.misaligned.empty() && !request.force) {
    err << meter.id
        << ": nothing is kept, for that is not what is known of it. Do it again while nothing else "
           "runs; --force keeps what was found, and results use it then\n";
    return kExitDisagrees;
  }
  // Anew: another may have been found meanwhile.
  absl::StatusOr<MeterLatencies> latencies = ReadLatencies(request.file);
  if (!latencies.ok()) return NotKept(latencies.status().message(), err);
  MeterLatency& latency = (*latencies)[meter.local_id];
  latency.model = meter.model;
  latency.latency_ns = std::llround(report.constant_ns);
  latency.latency_u_ns = std::llround(std::ceil(report.constant_u_ns));
  latency.taken_at =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixNanos(wall_now_ns), absl::UTCTimeZone());
  if (const absl::Status written = WriteLatencies(request.file, *latencies); !written.ok())
    return NotKept(written.message(), err);
  out << meter.local_id
      << absl::StrFormat(": stamps count as %.3g ms late, within %.2g ms",
                         static_cast<double>(latency.latency_ns) * 1e-6,
                         static_cast<double>(latency.latency_u_ns) * 1e-6)
      << "; kept in " << request.file.string()
      << ". An agent that runs uses it when it is started again.\n";
  return 0;
}

int ClearLatency(const std::filesystem::path& file, const std::string& meter, std::ostream& out,
                 std::ostream& err) {
  absl::StatusOr<MeterLatencies> latencies = ReadLatencies(file);
  if (!latencies.ok()) return NotKept(latencies.status().message(), err);
  std::vector<std::string> ids;
  for (const auto& [id, latency] : *latencies) {
    if (meter.empty() || id == meter || id == absl::StrCat("meter:", latency.model, ":", meter))
      ids.push_back(id);
  }
  if (ids.empty()) {
    return NotKept(
        absl::StrCat("there is no latency ", meter.empty() ? "" : absl::StrCat("of ", meter, " "),
                     "in ", file.string()),
        err);
  }
  if (ids.size() > 1) {
    return NotKept(absl::StrCat("there are several latencies; name the meter of one of them: ",
                                absl::StrJoin(ids, ", ")),
                   err);
  }
  latencies->erase(ids[0]);
  if (const absl::Status written = WriteLatencies(file, *latencies); !written.ok())
    return NotKept(written.message(), err);
  out << ids[0]
      << ": its latency is forgotten. An agent that runs uses it until it is started again.\n";
  return 0;
}

}  // namespace joulefarm::agent
