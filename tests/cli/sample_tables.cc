#include "tests/cli/sample_tables.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/output/text.h"

namespace joulefarm::cli {
namespace {

constexpr std::int64_t Int(int value) { return value; }

struct Model {
  const char* name;
  double otps;
  double ttft_ms;
  double joules;
  double load_ms;
  double rss_mib;
};

constexpr Model kModels[] = {{"tiny-f16", 212.4, 84.13, 0.0612, 310.2, 96.4},
                             {"tiny-q8_0", 402.1, 47.92, 0.0331, 188.7, 71.0},
                             {"tiny-q4_k_m", 455.8, 52.4, 0.0294, 171.25, 58.3}};

// The columns of `result`, in order; numbers where not said otherwise.
const std::vector<Column>& ResultColumns() {
  static const std::vector<Column> kColumns = [] {
    std::vector<Column> columns{{"experiment"},
                                {"cell"},
                                {"workload"},
                                {"job_id"},
                                {"attempt", ColumnKind::kNumber},
                                {"block", ColumnKind::kNumber},
                                {"run", ColumnKind::kNumber},
                                {"warmup", ColumnKind::kBoolean},
                                {"device_id"},
                                {"model"},
                                {"model_sha256"},
                                {"quant"},
                                {"engine"},
                                {"engine_version"},
                                {"params", ColumnKind::kJson},
                                {"started", ColumnKind::kTime},
                                {"speed_method"}};
    for (const char* name : {"n_prompt", "n_gen", "load_ms"})
      columns.push_back({name, ColumnKind::kNumber});
    columns.push_back({"load_state"});
    for (const char* name : {"ttft_ms", "itps", "otps", "itl_p50_ms", "itl_p99_ms"}) {
      columns.push_back({name, ColumnKind::kNumber});
    }
    for (const char* suffix : {"", "_est", "_sim"}) {
      for (const char* name : {"energy", "energy_net"}) {
        columns.push_back({absl::StrCat(name, suffix, "_j"), ColumnKind::kNumber});
        columns.push_back({absl::StrCat(name, suffix, "_u_j"), ColumnKind::kNumber});
      }
      for (const char* name : {"prefill", "decode"})
        columns.push_back({absl::StrCat(name, suffix, "_j"), ColumnKind::kNumber});
      for (const char* name :
           {"j_per_prompt_token", "j_per_decode_token", "j_per_output_token_e2e"}) {
        columns.push_back({absl::StrCat(name, suffix), ColumnKind::kNumber});
        columns.push_back({absl::StrCat(name, suffix, "_u"), ColumnKind::kNumber});
      }
      for (const char* name : {"mean", "peak"})
        columns.push_back({absl::StrCat(name, suffix, "_w"), ColumnKind::kNumber});
    }
    for (const char* name : {"energy_channel", "energy_scope", "provenance", "baseline"})
      columns.push_back({name});
    for (const char* name : {"peak_rss_mib", "max_temp_c"})
      columns.push_back({name, ColumnKind::kNumber});
    for (const char* name : {"speed_quality", "energy_quality"}) columns.push_back({name});
    columns.push_back({"quality_reasons", ColumnKind::kJson});
    return columns;
  }();
  return kColumns;
}

// A row of NULLs with some values set.
RowValues ResultRow(const std::vector<std::pair<std::string, Value>>& values) {
  const auto& columns = ResultColumns();
  RowValues row(columns.size());
  for (const auto& [name, value] : values) {
    const auto found = std::find_if(columns.begin(), columns.end(),
                                    [&](const Column& c) { return c.name == name; });
    row.at(static_cast<std::size_t>(found - columns.begin())) = value;
  }
  return row;
}

}  // namespace

Table SampleResults() {
  Table table;
  table.columns = ResultColumns();
  int job = 3;
  for (auto model = std::rbegin(kModels); model != std::rend(kModels); ++model, --job) {
    for (int run = 4; run >= 1; --run) {
      const double wobble = 1 + 0.01 * (run - 3);
      const bool warmup = run == 1;
      table.rows.push_back(
          ResultRow({{"experiment", "exp-1"},
                     {"cell", absl::StrCat("model=", model->name)},
                     {"workload", "chat"},
                     {"job_id", absl::StrCat("job-", job)},
                     {"attempt", Int(job)},
                     {"block", Int(1)},
                     {"run", Int(run)},
                     {"warmup", warmup},
                     {"device_id", "edge-7f3a"},
                     {"model", model->name},
                     {"model_sha256", std::string(64, 'a')},
                     {"engine", "llama.cpp"},
                     {"engine_version", "b6641"},
                     {"params", absl::StrCat(R"({"model":")", model->name, R"("})")},
                     {"started", absl::StrCat("2026-11-21T11:0", job, ":0", run, ".250Z")},
                     {"speed_method", "stream"},
                     {"n_prompt", Int(318)},
                     {"n_gen", Int(64)},
                     {"load_ms", model->load_ms},
                     {"load_state", "warm"},
                     {"ttft_ms", model->ttft_ms / wobble},
                     {"itps", 738.25},
                     {"otps", model->otps * wobble},
                     {"energy_est_j", 5.5},
                     {"energy_est_u_j", 1.9},
                     {"j_per_decode_token_est", model->joules / wobble},
                     {"j_per_decode_token_est_u", model->joules / 3},
                     {"mean_est_w", 14.2},
                     {"energy_channel", "cpu"},
                     {"energy_scope", "device"},
                     {"provenance", "estimated"},
                     {"peak_rss_mib", model->rss_mib},
                     {"speed_quality", job == 2 && run == 3 ? "SUSPECT" : "VALID"},
                     {"energy_quality", "VALID"},
                     {"quality_reasons",
                      job == 2 && run == 3 ? R"(["speed background_cpu:31%>10%"])" : "[]"}}));
    }
  }
  return table;
}

Table SampleSummary() {
  Table table;
  table.columns = {{"experiment"},
                   {"workload"},
                   {"cell"},
                   {"device_id"},
                   {"metric"},
                   {"unit"},
                   {"speed_method"},
                   {"energy_scope"},
                   {"provenance"},
                   {"n", ColumnKind::kNumber},
                   {"n_valid", ColumnKind::kNumber},
                   {"stat_unit"},
                   {"mean", ColumnKind::kNumber},
                   {"median", ColumnKind::kNumber},
                   {"ci_low", ColumnKind::kNumber},
                   {"ci_high", ColumnKind::kNumber},
                   {"ci_method"}};
  for (const Model& model : kModels) {
    const auto row = [&](const char* metric, const char* unit, Value provenance, double mean,
                         double half) {
      table.rows.push_back({"exp-1",
                            "chat",
                            absl::StrCat("model=", model.name),
                            "edge-7f3a",
                            metric,
                            unit,
                            "stream",
                            {},
                            provenance,
                            Int(3),
                            Int(3),
                            "run",
                            mean,
                            mean,
                            mean - half,
                            mean + half,
                            "student_t"});
    };
    row("otps", "1/s", {}, model.otps, model.otps * 0.033);
    row("ttft_ms", "ms", {}, model.ttft_ms, 1.5);
    row("j_per_decode_token_est", "J", "estimated", model.joules, model.joules * 0.05);
  }
  return table;
}

Table SampleJobs() {
  Table table;
  table.columns = {{"id"},
                   {"experiment"},
                   {"cell"},
                   {"block", ColumnKind::kNumber},
                   {"device_id"},
                   {"state"},
                   {"failure_class"},
                   {"reason"},
                   {"attempts", ColumnKind::kNumber},
                   {"submitted", ColumnKind::kTime},
                   {"started", ColumnKind::kTime},
                   {"finished", ColumnKind::kTime}};
  table.rows = {
      {"job-3",
       "exp-1",
       "model=tiny-q4_k_m",
       Int(1),
       "edge-7f3a",
       "ACTIVE",
       {},
       {},
       Int(1),
       "2026-11-21T11:00:00.000Z",
       "2026-11-21T11:03:00.500Z",
       {}},
      {"job-2", "exp-1", "model=tiny-q8_0", Int(1), "edge-7f3a", "FAILED", "USER",
       "llama-server ended with signal 6 (SIGABRT) while loading\nGGML_ASSERT(n_ctx > 0) "
       "failed\nsee ggml.c:12",
       Int(1), "2026-11-21T11:00:00.000Z", "2026-11-21T11:02:00.000Z", "2026-11-21T11:02:09.125Z"},
      {"job-1",
       "exp-1",
       "model=tiny-f16",
       Int(1),
       "edge-7f3a",
       "SUCCEEDED",
       {},
       {},
       Int(1),
       "2026-11-21T11:00:00.000Z",
       "2026-11-21T11:01:00.000Z",
       "2026-11-21T11:01:59.000Z"}};
  return table;
}

Table SampleDevices() {
  Table table;
  table.columns = {{"id"},
                   {"agent_id"},
                   {"kind"},
                   {"link"},
                   {"alloc"},
                   {"admin"},
                   {"health"},
                   {"gate_reason"},
                   {"labels", ColumnKind::kJson},
                   {"facts", ColumnKind::kJson}};
  table.rows = {
      {"edge-7f3a",
       "edge-7f3a",
       "server",
       "ONLINE",
       "FREE",
       "ENABLED",
       "GOOD",
       {},
       R"({"rack":"a"})",
       R"({"kind":"server","cpu_model":"AMD EPYC 7B13","cores":2,"ram_mib":"7963","os":"linux","engines":[{"name":"llama.cpp","version":"b6641","path":"/usr/bin"}],"soc":null})"},
      {"pixel-8-b", "lab-host", "phone", "OFFLINE", "DIRTY", "DRAINING", "SUSPECT",
       "cooling: 47 °C > 45 °C", "{}", "{}"}};
  return table;
}

Table SampleExperiments() {
  Table table;
  table.columns = {{"id"},
                   {"name"},
                   {"tenant"},
                   {"state"},
                   {"jobs", ColumnKind::kNumber},
                   {"succeeded", ColumnKind::kNumber},
                   {"failed", ColumnKind::kNumber},
                   {"canceled", ColumnKind::kNumber},
                   {"submitted", ColumnKind::kTime},
                   {"sha256"}};
  table.rows = {{"exp-1", "quant-sweep", "default", "ACTIVE", Int(3), Int(1), Int(1), Int(0),
                 "2026-11-21T11:00:00.000Z", std::string(64, 'b')}};
  return table;
}

Table SampleAgents() {
  Table table;
  table.columns = {{"id"},
                   {"link"},
                   {"version"},
                   {"devices", ColumnKind::kNumber},
                   {"last_seen", ColumnKind::kTime}};
  table.rows = {{"edge-7f3a", "ONLINE", "0.1.0", Int(1), "2026-11-21T11:03:30.000Z"},
                {"lab-host", "OFFLINE", "0.1.0", Int(8), "2026-11-20T18:00:00.000Z"}};
  return table;
}

Table SampleResources() {
  Table table;
  table.columns = {{"id"},
                   {"agent_id"},
                   {"kind"},
                   {"model"},
                   {"serial"},
                   {"place"},
                   {"link"},
                   {"alloc"},
                   {"admin"},
                   {"health"},
                   {"attempt", ColumnKind::kNumber},
                   {"obstacle"},
                   {"labels", ColumnKind::kJson},
                   {"channels", ColumnKind::kJson}};
  table.rows = {
      {"meter:km003c:007965", "lab-host", "METER", "km003c", "007965", "3-1.2", "ONLINE", "LEASED",
       "ENABLED", "GOOD", Int(7), Value(), "{}",
       R"([{"name":"km003c","quantity":"QUANTITY_POWER_W","scale":1e-06,"nominal_hz":1000,)"
       R"("description":"POWER-Z KM003C 007965: what flows through it"},)"
       R"({"name":"km003c.voltage","quantity":"QUANTITY_VOLTAGE_V","scale":0.0001}])"},
      {"port:ykush:Y1:2", "lab-host", "PORT", "ykush", "Y1", Value(), "ONLINE", "FREE", "ENABLED",
       "GOOD", Value(), "permission denied: install the udev rules", "{}", "[]"}};
  return table;
}

Table SampleArtifacts() {
  Table table;
  table.columns = {{"name"},         {"sha256"}, {"size_bytes", ColumnKind::kNumber}, {"format"},
                   {"architecture"}, {"quant"},  {"pushed", ColumnKind::kTime}};
  table.rows = {
      {"tiny-f16", std::string(64, 'c'), Int(41'700'000), "gguf", "llama", "F16",
       "2026-11-21T10:59:00.000Z"},
      {"prompts", std::string(64, 'd'), Int(812), "file", {}, {}, "2026-11-21T10:58:00.000Z"}};
  return table;
}

Table SampleLogs() {
  Table table;
  table.columns = {
      {"t_ns", ColumnKind::kNumber}, {"source"}, {"text"}, {"attempt", ColumnKind::kNumber}};
  table.rows = {
      {std::int64_t{7'000'000'000}, "agent", "starting llama-server on 127.0.0.1:40123", Int(2)},
      {std::int64_t{7'120'500'000}, "engine", "load_tensors: \x1b[31mloading\x1b[0m", Int(2)},
      {std::int64_t{9'000'000'000}, "agent", "ready", Int(5)}};
  return table;
}

absl::StatusOr<Table> SampleList(const v1::ListRequest& request) {
  Table table;
  switch (request.listing()) {
    case v1::LISTING_EXPERIMENTS:
      table = SampleExperiments();
      break;
    case v1::LISTING_JOBS:
      table = SampleJobs();
      break;
    case v1::LISTING_DEVICES:
      table = SampleDevices();
      break;
    case v1::LISTING_AGENTS:
      table = SampleAgents();
      break;
    case v1::LISTING_RESOURCES:
      table = SampleResources();
      break;
    case v1::LISTING_ARTIFACTS:
      table = SampleArtifacts();
      break;
    case v1::LISTING_RESULTS:
      table = SampleResults();
      break;
    case v1::LISTING_RESULT_SUMMARY:
      table = SampleSummary();
      break;
    case v1::LISTING_LOGS:
      if (request.id() != "job-2")
        return absl::NotFoundError(absl::StrCat("job \"", request.id(), "\" not found"));
      return SampleLogs();
    default:
      return absl::InvalidArgumentError("unknown listing");
  }
  const auto drop = [&](const std::string& column, const std::string& wanted) {
    table.rows.erase(std::remove_if(table.rows.begin(), table.rows.end(),
                                    [&](const RowValues& row) {
                                      return PlainText(table.At(row, column)) != wanted;
                                    }),
                     table.rows.end());
  };
  for (const auto& [column, wanted] : request.filters()) {
    if (table.Find(column) < 0)
      return absl::InvalidArgumentError(absl::StrCat("unknown filter \"", column, "\""));
    drop(column, wanted);
  }
  if (request.has_id()) {
    drop(table.columns[0].name, request.id());
    if (table.rows.empty())
      return absl::NotFoundError(absl::StrCat("\"", request.id(), "\" not found"));
  }
  if (request.limit() > 0 && static_cast<std::int64_t>(table.rows.size()) > request.limit()) {
    table.rows.resize(static_cast<std::size_t>(request.limit()));
  }
  return table;
}

}  // namespace joulefarm::cli
