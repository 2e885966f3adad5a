// What an operator and a script see of a farm of real programs: results, listings, exit codes,
// HTTP.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kTalkative[] =
    "echo '{\"phase\": \"prefill\", \"event\": \"begin\"}'\n"
    "echo '{\"phase\": \"prefill\", \"event\": \"end\"}'\n"
    "echo '{\"phase\": \"decode\", \"event\": \"begin\"}'\n"
    "echo '{\"token\": 17}'\n"
    "echo '{\"phase\": \"decode\", \"event\": \"end\"}'\n"
    "echo '{\"metric\": \"otps\", \"value\": {n}.5, \"unit\": \"1/s\"}'\n"
    "echo 'plain words'";

// The names of shared/design/experiment.md, written down a second time.
const std::vector<std::string> kDeviceKeys = {
    "id", "agent_id", "kind", "link", "alloc", "admin", "health", "gate_reason", "labels", "facts"};
const std::vector<std::string> kJobKeys = {"id",        "experiment", "cell",          "block",
                                           "device_id", "state",      "failure_class", "reason",
                                           "attempts",  "submitted",  "started",       "finished"};

std::vector<std::string> ResultKeys() {
  std::vector<std::string> keys = {
      "experiment", "cell",           "workload",   "job_id",  "attempt",      "block",
      "run",        "warmup",         "device_id",  "model",   "model_sha256", "quant",
      "engine",     "engine_version", "params",     "started", "speed_method", "n_prompt",
      "n_gen",      "load_ms",        "load_state", "ttft_ms", "itps",         "otps",
      "itl_p50_ms", "itl_p99_ms"};
  for (const std::string kind : {"", "_est", "_sim"}) {
    for (const char* name :
         {"energy", "energy_u", "energy_net", "energy_net_u", "prefill", "decode"}) {
      // energy_u_j becomes energy_est_u_j: the label stands before the uncertainty and the unit.
      std::string stem = name;
      std::string u;
      if (absl::EndsWith(stem, "_u")) {
        stem.resize(stem.size() - 2);
        u = "_u";
      }
      keys.push_back(absl::StrCat(stem, kind, u, "_j"));
    }
    for (const char* name :
         {"j_per_prompt_token", "j_per_decode_token", "j_per_output_token_e2e"}) {
      keys.push_back(absl::StrCat(name, kind));
      keys.push_back(absl::StrCat(name, kind, "_u"));
    }
    keys.push_back(absl::StrCat("mean", kind, "_w"));
    keys.push_back(absl::StrCat("peak", kind, "_w"));
  }
  // Derived, after what the contract names.
  for (const char* kind : {"", "_est", "_sim"}) {
    keys.push_back(absl::StrCat("energy", kind, "_mwh"));
    keys.push_back(absl::StrCat("energy", kind, "_mah"));
    keys.push_back(absl::StrCat("prompts_per_battery", kind));
  }
  keys.emplace_back("mean_v");
  for (const char* name :
       {"energy_channel", "energy_scope", "provenance", "baseline", "peak_rss_mib", "max_temp_c",
        "speed_quality", "energy_quality", "quality_reasons"}) {
    keys.emplace_back(name);
  }
  return keys;
}

std::vector<std::string> KeysOf(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

std::vector<std::string> Sorted(std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  return keys;
}

bool HasEmptyText(const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_structured() && std::any_of(value.begin(), value.end(), HasEmptyText);
}

class OperatorTest : public FarmTest {};

TEST_F(OperatorTest, ASweepOnTwoDevicesGivesTheRowsItShould) {
  StartController();
  StartAgentAndWait("a");
  StartAgentAndWait("b");
  const Ended ended = Submit(
      CommandExperiment("sweep", kTalkative, "[1, 2]", "repetitions: 2\nwarmup: 1\n"), {"--wait"});
  ASSERT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("4 of 4 jobs succeeded"));

  EXPECT_THAT(
      Sql("select cell, device_id, state, failure_class, attempts, block from job order by 1, 2"),
      ElementsAre(ElementsAre("n=1", "a", "SUCCEEDED", "NULL", "1", "0"),
                  ElementsAre("n=1", "b", "SUCCEEDED", "NULL", "1", "0"),
                  ElementsAre("n=2", "a", "SUCCEEDED", "NULL", "1", "0"),
                  ElementsAre("n=2", "b", "SUCCEEDED", "NULL", "1", "0")));
  EXPECT_THAT(Sql("select warmup, count(*) from result group by 1"),
              ElementsAre(ElementsAre("0", "8"), ElementsAre("1", "4")));
  // What the command reports as a metric stays apart from the farm's own measurement, which one
  // token does not give.
  EXPECT_THAT(
      Sql("select distinct otps, n_gen, energy_j, energy_est_j, energy_sim_j, provenance, engine, "
          "workload from result"),
      ElementsAre(ElementsAre("NULL", "1", "NULL", "NULL", "NULL", "NULL", "command", "work")));
  EXPECT_THAT(
      Sql("select job.cell, metric.value, metric.unit, count(*) from metric join attempt on fence "
          "= attempt join job on job.id = "
          "job_id where name = 'otps' group by 1, 2, 3"),
      ElementsAre(ElementsAre("n=1", "1.5", "1/s", "6"), ElementsAre("n=2", "2.5", "1/s", "6")));
  EXPECT_EQ(Value("select count(*) from phase where phase = 'decode' and end_ns >= start_ns and "
                  "run is not null"),
            "12");
  EXPECT_EQ(Value("select count(*) from phase where phase = 'prefill'"), "12");
  EXPECT_EQ(Value("select count(*) from log where text = 'plain words'"), "12");
  EXPECT_EQ(
      Value("select count(*) from run where peak_rss_mib is null and peak_rss_bytes is not null"),
      "0");
  EXPECT_THAT(
      Sql("select n, n_valid, mean from result_summary where metric = 'otps' and cell = 'n=2'"),
      Each(ElementsAre("2", "2", "2.5")));
  EXPECT_TRUE(
      Eventually([this] { return DeviceIs("a", "ONLINE FREE") && DeviceIs("b", "ONLINE FREE"); }));
  // Seen from one file the other way round, without the controller.
  StopController();
  EXPECT_EQ(RunCli({"sql", "--db", (controller_state() / "joulefarm.db").string(), "-o", "csv",
                    "select count(*) as n from result"})
                .out,
            "n\n12\n");
}

TEST_F(OperatorTest, JsonHasExactlyTheDocumentedKeysAndExplicitNulls) {
  StartController();
  StartAgentAndWait("a");
  const Ended waited =
      Submit(CommandExperiment("keys", kTalkative, "[1]", "repetitions: 1\nwarmup: 0\n"),
             {"--wait", "-o", "json"});
  ASSERT_EQ(waited.code, 0) << waited.err;
  const json submitted = json::parse(waited.out);
  EXPECT_EQ(submitted.at("succeeded"), 1);
  EXPECT_EQ(submitted.at("done"), true);

  const json devices = CliJson({"device", "list"});
  ASSERT_THAT(devices, SizeIs(1));
  EXPECT_EQ(Sorted(KeysOf(devices[0])), Sorted(kDeviceKeys));
  EXPECT_EQ(devices[0]["link"], "ONLINE");
  EXPECT_TRUE(devices[0]["gate_reason"].is_null());
  EXPECT_TRUE(devices[0]["facts"].is_object());
  EXPECT_TRUE(devices[0]["labels"].is_object());
  EXPECT_FALSE(HasEmptyText(devices)) << devices.dump(2) << "\nwhat is absent is null";
  const json& channels = devices[0]["facts"]["power_channels"];
  EXPECT_TRUE(std::any_of(channels.begin(), channels.end(), [](const json& channel) {
    return channel.at("name") == "estimated" && channel.at("meter").is_null();
  }));

  const json jobs = CliJson({"job", "list"});
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_EQ(Sorted(KeysOf(jobs[0])), Sorted(kJobKeys));
  EXPECT_EQ(jobs[0]["state"], "SUCCEEDED");
  EXPECT_TRUE(jobs[0]["failure_class"].is_null());
  EXPECT_TRUE(jobs[0]["attempts"].is_number_integer());
  EXPECT_THAT(jobs[0]["finished"].get<std::string>(),
              ::testing::MatchesRegex("....-..-..T..:..:..(\\..*)?Z"));

  const json results = CliJson({"result", "list"});
  ASSERT_THAT(results, SizeIs(1));
  EXPECT_EQ(Sorted(KeysOf(results[0])), Sorted(ResultKeys()));
  EXPECT_EQ(results[0]["params"], json({{"n", 1}}));
  EXPECT_EQ(results[0]["warmup"], false);
  EXPECT_TRUE(results[0]["energy_est_j"].is_null());
  EXPECT_TRUE(results[0]["quality_reasons"].is_array());
  for (const char* absent : {"n_prompt", "otps", "load_ms", "energy_j", "model", "max_temp_c"}) {
    EXPECT_TRUE(results[0][absent].is_null()) << absent << " must be null, never 0";
  }

  // The same over HTTP, and one object by its id.
  EXPECT_EQ(json::parse(Http("/api/v1/results").body), results);
  EXPECT_EQ(json::parse(Http("/api/v1/jobs").body), jobs);
  EXPECT_EQ(KeysOf(json::parse(Http("/api/v1/devices").body)[0]), KeysOf(devices[0]));
  EXPECT_EQ(CliJson({"job", "get", "job-1"})["id"], "job-1");
}

TEST_F(OperatorTest, HttpAnswersAndRefuses) {
  StartController();
  const HttpAnswer health = Http("/healthz");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(json::parse(health.body).at("status"), "ok");
  EXPECT_EQ(json::parse(Http("/api/v1/devices").body), json::array());
  EXPECT_EQ(json::parse(Http("/api/v1/jobs").body), json::array());
  EXPECT_EQ(json::parse(Http("/api/v1/results?limit=5").body), json::array());
  EXPECT_EQ(Http("/api/v1/results?limit=-1").status, 400);
  const HttpAnswer unknown_filter = Http("/api/v1/jobs?stat=x");
  EXPECT_EQ(unknown_filter.status, 400);
  EXPECT_THAT(unknown_filter.body, HasSubstr("state"));
  EXPECT_EQ(Http("/nothing").status, 404);
  EXPECT_EQ(Http("/api/v1/jobs", "POST").status, 405);
  EXPECT_EQ(Http("/healthz", "DELETE").status, 405);
  EXPECT_EQ(Http("/%zz").status, 400);
  const HttpAnswer head = Http("/healthz", "HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
}

TEST_F(OperatorTest, ArtifactsArePushedOnceByContent) {
  StartController();
  const std::string file = (dir() / "tiny.gguf").string();
  ASSERT_EQ(StartProgram("make-model", {JF_MAKE_MODEL, "--tiny", file})->Finish().code, 0);
  EXPECT_EQ(RunCli({"artifact", "push", file}).code, 0);
  EXPECT_EQ(RunCli({"artifact", "push", file}).code, 0);
  const json artifacts = CliJson({"artifact", "list"});
  ASSERT_THAT(artifacts, SizeIs(1));
  EXPECT_EQ(artifacts[0]["name"], "tiny");
  EXPECT_EQ(artifacts[0]["size_bytes"], std::filesystem::file_size(file));
  EXPECT_EQ(RunCli({"artifact", "push", file + ".none"}).code, 2);
  // A command sees the model where it is on the device, whole.
  StartAgentAndWait("a");
  const std::string script =
      absl::StrCat("cmp {model.path} ", file, " && echo {model.name} {model.sha256}");
  const Ended ended =
      Submit(CommandExperiment("fetch", script, "[1]", "model: tiny\nrepetitions: 1\nwarmup: 0\n"),
             {"--wait"});
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_EQ(Value(absl::StrCat("select count(*) from log where text = 'tiny ",
                               artifacts[0]["sha256"].get<std::string>(), "'")),
            "1");
}

TEST_F(OperatorTest, TheSameRequestIdGivesTheSameExperimentAlsoAfterACrash) {
  StartController();
  StartAgentAndWait("a");
  const std::string yaml =
      CommandExperiment("once", "true", "[1, 2]", "repetitions: 1\nwarmup: 0\n");
  const Ended first = Submit(yaml, {"--request-id", "nightly", "-o", "name"});
  ASSERT_EQ(first.code, 0) << first.err;
  controller().Kill9();
  StartController();
  const Ended again = Submit(yaml, {"--request-id", "nightly", "-o", "name"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, first.out);
  EXPECT_EQ(Submit("# another comment\n" + yaml, {"--request-id", "nightly", "-o", "name"}).out,
            first.out);
  const Ended other = Submit(CommandExperiment("once", "false"), {"--request-id", "nightly"});
  EXPECT_EQ(other.code, 2);
  EXPECT_THAT(other.err, HasSubstr("nightly"));
  EXPECT_EQ(Submit(yaml, {"--request-id", "nightly", "--wait"}).code, 0);
  EXPECT_EQ(Value("select count(*) from job"), "2");
}

TEST_F(OperatorTest, AWaiterMayGoAndTheJobsGoOn) {
  StartController();
  StartAgentAndWait("a");
  const std::string script =
      absl::StrCat("echo x >> ", (dir() / "starts").string(), "\nuntil [ -e ",
                   (dir() / "go").string(), " ]; do sleep 0.05; done");
  const std::string yaml =
      CommandExperiment("patient", script, "[1]", "repetitions: 1\nwarmup: 0\n");
  const Ended timed_out = Submit(yaml, {"--wait", "--timeout", "1s", "--request-id", "p"});
  EXPECT_EQ(timed_out.code, 4) << timed_out.err;
  EXPECT_THAT(timed_out.err, HasSubstr("The jobs go on"));

  const auto cli = StartSubmit(yaml, {"--wait", "--request-id", "p"});
  ASSERT_TRUE(Eventually([&] {
    return cli->err().find("active") != std::string::npos ||
           cli->err().find("running") != std::string::npos;
  })) << cli->err();
  cli->Signal(SIGINT);
  const Ended interrupted = cli->Finish();
  EXPECT_EQ(interrupted.code, 130);
  EXPECT_THAT(interrupted.err, HasSubstr("experiment get exp-1 --wait"));
  EXPECT_EQ(Value("select state from job"), "ACTIVE");
  WriteFile(dir() / "go", "");
  EXPECT_EQ(RunCli({"experiment", "get", "patient", "--wait"}).code, 0);
  EXPECT_EQ(CountLines(dir() / "starts"), 1u);
}

TEST_F(OperatorTest, AFailedJobGivesExitCodeOneAndTellsWhy) {
  StartController();
  StartAgentAndWait("a");
  const Ended ended = Submit(CommandExperiment("fail", "echo the last words >&2; exit {n}",
                                               "[0, 3]", "repetitions: 1\nwarmup: 0\n"),
                             {"--wait"});
  EXPECT_EQ(ended.code, 1) << ended.out << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("1 job did not succeed"), HasSubstr("USER"),
                               HasSubstr("the last words")));
  EXPECT_THAT(Sql("select state, failure_class, attempts from job where cell = 'n=3'"),
              ElementsAre(ElementsAre("FAILED", "USER", "1")));
  EXPECT_EQ(Value("select state from job where cell = 'n=0'"), "SUCCEEDED");
  EXPECT_THAT(
      Submit(CommandExperiment("fail2", "kill -SEGV $$", "[1]", "repetitions: 1\nwarmup: 0\n"),
             {"--wait"})
          .out,
      HasSubstr("USER"));
  const Ended missing = Submit(
      "name: none\nworkloads: {w: {kind: command, command: [no-such-program]}}\nretries: 1\n"
      "plan: {settle: 0s, idle: 0s, pause: 0s, tail: 0s}\n",
      {"--wait"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.out,
              AllOf(HasSubstr("INFRA"), HasSubstr("no-such-program"), HasSubstr("PATH")));
  EXPECT_EQ(Value("select attempts from job where failure_class = 'INFRA'"), "2");
}

TEST_F(OperatorTest, AClosedPipeIsQuiet) {
  StartController();
  const Ended ended =
      StartProgram("pipe",
                   {"bash", "-c",
                    absl::StrCat(JF_CLI,
                                 " sql 'with recursive c(i) as (select 1 union all select i + 1 "
                                 "from c where i < 60000) "
                                 "select i, i, i, i from c' | head -n 1; exit ${PIPESTATUS[0]}")})
          ->Finish();
  EXPECT_THAT(ended.code, ::testing::AnyOf(0, 128 + SIGPIPE));
  EXPECT_EQ(ended.err, "");
  EXPECT_THAT(ended.out, Not(IsEmpty()));
}

TEST_F(OperatorTest, SqlIsReadOnlyAndLimited) {
  StartController();
  for (const char* query : {"delete from job", "create table x (y)", "attach '/tmp/x' as y",
                            "pragma user_version = 5", "selec 1"}) {
    const Ended ended = RunCli({"sql", query});
    EXPECT_EQ(ended.code, 2) << query << ended.err;
    EXPECT_THAT(ended.err, Not(IsEmpty())) << query;
  }
  EXPECT_EQ(RunCli({"sql", "-o", "csv", "select count(*) as n from job"}).out, "n\n0\n");
  EXPECT_TRUE(controller().Running());
}

}  // namespace
}  // namespace joulefarm::e2e
