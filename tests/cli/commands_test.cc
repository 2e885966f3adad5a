// The commands against a controller of our own, over real gRPC.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"
#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::ordered_json;

class Commands : public ::testing::Test {
 protected:
  Commands()
      : cli_(farm_.address()),
        directory_(std::filesystem::temp_directory_path() /
                   ("jf-cli-commands-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
    farm_.OnList(SampleList);
  }
  ~Commands() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name, const std::string& content) {
    const auto path = directory_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  v1::ListRequest LastList() const { return farm_.lists().back(); }

  FakeFarm farm_;
  CliRunner cli_;
  std::filesystem::path directory_;
};

TEST_F(Commands, EveryListingInEveryFormat) {
  const std::vector<std::vector<std::string>> listings{
      {"experiment", "list"}, {"job", "list"},      {"device", "list"}, {"agent", "list"},
      {"resource", "list"},   {"artifact", "list"}, {"result", "list"}};
  for (const auto& listing : listings) {
    for (const char* format : {"table", "wide", "json", "jsonl", "csv", "name"}) {
      std::vector<std::string> arguments = listing;
      arguments.insert(arguments.end(), {"-o", format});
      const CliOutcome outcome = cli_.Run(arguments);
      EXPECT_EQ(outcome.exit, 0) << listing[0] << " " << format << ": " << outcome.err;
      EXPECT_THAT(outcome.out, Not(IsEmpty()));
      EXPECT_THAT(outcome.err, IsEmpty());
      if (std::string(format) == "json") {
        EXPECT_TRUE(Json::parse(outcome.out).is_array());
      }
    }
  }
}

TEST_F(Commands, AWideListingOfResourcesFitsAScreen) {
  const CliOutcome outcome = cli_.Run({"resource", "list", "-o", "wide"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("km003c, km003c.voltage"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("{")));
  EXPECT_THAT(outcome.out, Not(HasSubstr("QUANTITY_POWER_W")));
  const CliOutcome json = cli_.Run({"resource", "list", "-o", "json"});
  EXPECT_EQ(Json::parse(json.out)[0]["channels"][0]["quantity"], "QUANTITY_POWER_W");
}

TEST_F(Commands, JsonHasEveryKeyWithExplicitNulls) {
  const CliOutcome outcome = cli_.Run({"result", "list", "--job", "job-1", "-o", "json"});
  ASSERT_EQ(outcome.exit, 0) << outcome.err;
  const Json runs = Json::parse(outcome.out);
  ASSERT_EQ(runs.size(), 4u);
  const Json& run = runs[0];
  for (const Column& column : SampleResults().columns)
    EXPECT_TRUE(run.contains(column.name)) << column.name;
  EXPECT_TRUE(run["energy_j"].is_null());
  EXPECT_EQ(run["energy_est_j"], 5.5);
  EXPECT_TRUE(run["n_gen"].is_number_integer());
  EXPECT_EQ(run["warmup"], false);
  EXPECT_TRUE(run["params"].is_object());
  EXPECT_TRUE(run["quality_reasons"].is_array());
  EXPECT_EQ(run.begin().key(), "experiment");
}

TEST_F(Commands, AReportIsNotWrittenToAFileNamedLikeAFormat) {
  for (const char* name : {"json", "csv", "table"}) {
    const CliOutcome outcome = cli_.Run({"experiment", "report", "exp-1", "-o", name});
    EXPECT_EQ(outcome.exit, 2) << name;
    EXPECT_THAT(outcome.err, HasSubstr("-o report.md"));
    EXPECT_FALSE(std::filesystem::exists(name));
  }
}

TEST_F(Commands, FiltersAndLimitReachTheController) {
  ASSERT_EQ(cli_.Run({"job", "list", "--experiment", "exp-1", "--state", "FAILED", "--filter",
                      "block=1", "--limit", "5"})
                .exit,
            0);
  EXPECT_EQ(LastList().listing(), v1::LISTING_JOBS);
  EXPECT_EQ(LastList().limit(), 5);
  EXPECT_EQ(LastList().filters_size(), 3);
  EXPECT_EQ(LastList().filters().at("experiment"), "exp-1");
  EXPECT_EQ(LastList().filters().at("state"), "FAILED");
  EXPECT_EQ(LastList().filters().at("block"), "1");
  ASSERT_EQ(cli_.Run({"result", "list", "--device", "edge-7f3a", "--model", "tiny-f16"}).exit, 0);
  EXPECT_EQ(LastList().filters().at("device_id"), "edge-7f3a");
  EXPECT_EQ(LastList().filters().at("model"), "tiny-f16");
}

TEST_F(Commands, WrongFilters) {
  CliOutcome outcome = cli_.Run({"job", "list", "--filter", "state"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("write KEY=VALUE"));
  outcome = cli_.Run({"job", "list", "--state", "FAILED", "--filter", "state=ACTIVE"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("state is already asked to be FAILED"));
  outcome = cli_.Run({"job", "list", "--filter", "colour=red"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("unknown filter"));
  EXPECT_EQ(cli_.Run({"job", "list", "--limit", "-1"}).exit, 2);
  EXPECT_EQ(cli_.Run({"job", "list", "-o", "yaml"}).exit, 2);
}

TEST_F(Commands, AnEmptyListingIsNoError) {
  CliOutcome outcome = cli_.Run({"job", "list", "--experiment", "exp-9"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "No jobs match.\n");
  outcome = cli_.Run({"job", "list", "--experiment", "exp-9", "-o", "json"});
  EXPECT_EQ(outcome.out, "[]\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Commands, GetShowsOneObject) {
  CliOutcome outcome = cli_.Run({"job", "get", "job-2"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.out, HasSubstr("reason:         llama-server ended"));
  EXPECT_THAT(outcome.out, HasSubstr("\n                GGML_ASSERT"));
  EXPECT_EQ(LastList().id(), "job-2");
  outcome = cli_.Run({"job", "get", "job-2", "-o", "json"});
  const Json job = Json::parse(outcome.out);
  EXPECT_EQ(job["id"], "job-2");
  EXPECT_EQ(job["attempts"], 1);
  EXPECT_EQ(
      Json::parse(cli_.Run({"device", "get", "edge-7f3a", "-o", "json"}).out)["facts"]["cores"], 2);
  EXPECT_EQ(cli_.Run({"experiment", "get", "exp-1"}).exit, 0);
  EXPECT_EQ(cli_.Run({"agent", "get", "lab-host"}).exit, 0);
  EXPECT_EQ(cli_.Run({"resource", "get", "port:ykush:Y1:2"}).exit, 0);
}

TEST_F(Commands, WhatIsNotFoundIsUsage) {
  for (const char* group : {"experiment", "job", "device", "agent", "resource"}) {
    const CliOutcome outcome = cli_.Run({group, "get", "nobody"});
    EXPECT_EQ(outcome.exit, 2) << group;
    EXPECT_THAT(outcome.err, StartsWith("error: "));
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(cli_.Run({"result", "get", "job-77"}).exit, 2);
  EXPECT_EQ(cli_.Run({"job", "logs", "job-77"}).exit, 2);
}

TEST_F(Commands, ResultGetShowsRunsSideBySideOrOne) {
  CliOutcome outcome = cli_.Run({"result", "get", "job-1"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.out, HasSubstr("\nload_ms:                       310.2\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nrun  "));
  EXPECT_EQ(Json::parse(cli_.Run({"result", "get", "job-1", "-o", "json"}).out).size(), 4u);
  outcome = cli_.Run({"result", "get", "job-1", "--run", "2", "-o", "json"});
  EXPECT_EQ(Json::parse(outcome.out)["run"], 2);
}

TEST_F(Commands, JobLogs) {
  CliOutcome outcome = cli_.Run({"job", "logs", "job-2"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "attempt 2\n"
            "    0.000  agent   starting llama-server on 127.0.0.1:40123\n"
            "    0.120  engine  load_tensors: \\x1b[31mloading\\x1b[0m\n"
            "attempt 5\n"
            "    0.000  agent   ready\n");
  outcome = cli_.Run({"job", "logs", "job-2", "-o", "jsonl"});
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 3);
}

TEST_F(Commands, Cancel) {
  farm_.OnCancelJob([](const std::string& job) -> absl::StatusOr<std::string> {
    if (job == "job-9") return absl::NotFoundError("no job has the id job-9");
    return std::string("CANCELING");
  });
  farm_.OnCancelExperiment([](const std::string&) { return 2; });
  CliOutcome outcome = cli_.Run({"job", "cancel", "job-1", "job-9", "job-2"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_EQ(outcome.out, "job-1: CANCELING\njob-2: CANCELING\n");
  EXPECT_THAT(outcome.err, HasSubstr("no job has the id job-9"));
  outcome = cli_.Run({"experiment", "cancel", "exp-1"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.out, "exp-1: canceled 2 jobs\n");
}

TEST_F(Commands, DevicesInAndOutOfService) {
  std::vector<std::string> asked;
  farm_.OnSetDevice(
      [&asked](const v1::SetDeviceRequest& request) -> absl::StatusOr<v1::SetDeviceResponse> {
        if (request.device_id() == "nobody")
          return absl::NotFoundError("there is no device nobody");
        asked.push_back(request.ShortDebugString());
        v1::SetDeviceResponse now;
        now.set_admin(v1::DEVICE_ADMIN_DRAINING);
        now.set_health(request.health() == v1::DEVICE_HEALTH_QUARANTINED ? request.health()
                                                                         : v1::DEVICE_HEALTH_GOOD);
        now.set_alloc(v1::DEVICE_ALLOC_LEASED);
        if (request.device_id() == "busy") now.set_job("job-7");
        return now;
      });
  CliOutcome outcome =
      cli_.Run({"device", "drain", "busy", "nobody", "idle", "--reason", "new battery"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_EQ(outcome.out, "busy: DRAINING, at work on job-7\nidle: DRAINING\n");
  EXPECT_THAT(outcome.err, HasSubstr("there is no device nobody"));
  EXPECT_EQ(cli_.Run({"device", "quarantine", "idle"}).out, "idle: DRAINING, QUARANTINED\n");
  EXPECT_EQ(cli_.Run({"device", "cordon", "idle"}).exit, 0);
  EXPECT_EQ(cli_.Run({"device", "uncordon", "idle"}).exit, 0);
  EXPECT_EQ(cli_.Run({"device", "unquarantine", "idle"}).exit, 0);
  EXPECT_EQ(cli_.Run({"device", "drain"}).exit, 2);
  EXPECT_THAT(asked, testing::ElementsAre(
                         R"(device_id: "busy" admin: DEVICE_ADMIN_DRAINING reason: "new battery")",
                         R"(device_id: "idle" admin: DEVICE_ADMIN_DRAINING reason: "new battery")",
                         R"(device_id: "idle" health: DEVICE_HEALTH_QUARANTINED)",
                         R"(device_id: "idle" admin: DEVICE_ADMIN_MAINTENANCE)",
                         R"(device_id: "idle" admin: DEVICE_ADMIN_ENABLED)",
                         R"(device_id: "idle" health: DEVICE_HEALTH_GOOD)"));
}

TEST_F(Commands, Version) {
  const CliOutcome outcome = cli_.Run({"version", "-o", "json"});
  EXPECT_EQ(outcome.exit, 0);
  const Json version = Json::parse(outcome.out);
  EXPECT_EQ(version["controller_version"], "9.8.7");
  EXPECT_EQ(version["schema_version"], 3);
  EXPECT_EQ(version["controller"], farm_.address());
  EXPECT_THAT(cli_.Run({"--version"}).out, StartsWith("joulefarm "));
}

TEST_F(Commands, UnreachableController) {
  farm_.Stop();
  const std::vector<std::vector<std::string>> commands{
      {"job", "list"},
      {"device", "get", "x"},
      {"version"},
      {"sql", "select 1"},
      {"experiment", "cancel", "x"},
      {"submit", "-f", File("e.yaml", "name: x\n")},
      {"artifact", "push", File("m.txt", "content")}};
  for (const auto& command : commands) {
    const CliOutcome outcome = cli_.Run(command);
    EXPECT_EQ(outcome.exit, 3) << command[0];
    EXPECT_THAT(outcome.err, HasSubstr("cannot reach the controller at " + farm_.address() +
                                       ": is joulefarm-controller running? (Connection refused)"));
  }
}

TEST_F(Commands, TheControllerOptionComesBeforeAndAfterTheCommand) {
  CliRunner bare("");
  EXPECT_EQ(bare.Run({"--controller", farm_.address(), "job", "list"}).exit, 0);
  EXPECT_EQ(bare.Run({"job", "list", "--controller", farm_.address()}).exit, 0);
  EXPECT_EQ(bare.Run({"job", "list", "--controller", "nonsense"}).exit, 2);
  EXPECT_EQ(bare.Run({"job", "list", "--context", "nowhere"}).exit, 2);
}

TEST_F(Commands, UsageErrorsNameTheNearestWord) {
  EXPECT_EQ(cli_.Run({}).exit, 2);
  CliOutcome outcome = cli_.Run({"jobs"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("there is no command \"jobs\"; did you mean \"job\"?"));
  EXPECT_THAT(cli_.Run({"job", "lst"}).err,
              HasSubstr("did you mean \"list\"?\njoulefarm job --help"));
  EXPECT_THAT(cli_.Run({"job"}).err,
              HasSubstr("say which command of \"joulefarm job\": list, get, cancel, watch, logs"));
  EXPECT_THAT(cli_.Run({"job", "list", "--experimnt", "x"}).err,
              HasSubstr("did you mean --experiment?"));
  EXPECT_THAT(cli_.Run({"job", "get"}).err, HasSubstr("JOB is required"));
  EXPECT_EQ(cli_.Run({"job", "get", "a", "b"}).exit, 2);
}

TEST_F(Commands, HelpIsCompleteAndSucceeds) {
  const std::vector<std::vector<std::string>> all{{},
                                                  {"submit"},
                                                  {"experiment"},
                                                  {"experiment", "list"},
                                                  {"experiment", "get"},
                                                  {"experiment", "cancel"},
                                                  {"job"},
                                                  {"job", "list"},
                                                  {"job", "get"},
                                                  {"job", "cancel"},
                                                  {"job", "watch"},
                                                  {"job", "logs"},
                                                  {"device"},
                                                  {"device", "list"},
                                                  {"device", "get"},
                                                  {"device", "watch"},
                                                  {"backup"},
                                                  {"resource"},
                                                  {"resource", "list"},
                                                  {"resource", "get"},
                                                  {"agent"},
                                                  {"agent", "list"},
                                                  {"artifact"},
                                                  {"artifact", "push"},
                                                  {"artifact", "list"},
                                                  {"artifact", "get"},
                                                  {"artifact", "gc"},
                                                  {"result"},
                                                  {"result", "list"},
                                                  {"result", "get"},
                                                  {"sql"},
                                                  {"doctor"},
                                                  {"version"}};
  for (std::vector<std::string> command : all) {
    command.push_back("--help");
    const CliOutcome outcome = cli_.Run(command);
    EXPECT_EQ(outcome.exit, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Examples:\n  ")) << command[0];
    EXPECT_THAT(outcome.err, IsEmpty());
  }
}

TEST_F(Commands, AFullDiskIsAnErrorAndAClosedPipeIsNot) {
  cli_.out_error = ENOSPC;
  CliOutcome outcome = cli_.Run({"job", "list"});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write the output: No space left on device"));
  cli_.out_error = EPIPE;
  outcome = cli_.Run({"job", "list"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Commands, ColoursOnlyOnATerminalThatWantsThem) {
  EXPECT_THAT(cli_.Run({"job", "list"}).out, Not(HasSubstr("\x1b")));
  cli_.terminal = true;
  EXPECT_THAT(cli_.Run({"job", "list"}).out, HasSubstr("\x1b[31mFAILED"));
  cli_.environment["NO_COLOR"] = "1";
  EXPECT_THAT(cli_.Run({"job", "list"}).out, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace joulefarm::cli
