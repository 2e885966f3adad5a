// Submitting and waiting, against a controller of our own, in time that stands still but for the
// CLI's sleeps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "tests/cli/cli_runner.h"
#include "tests/cli/fake_farm.h"
#include "tests/cli/sample_tables.h"

namespace joulefarm::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::ordered_json;

v1::SubmitExperimentResponse Accepted() {
  v1::SubmitExperimentResponse response;
  response.set_experiment("exp-1");
  response.set_name("quant-sweep");
  for (const char* model : {"tiny-f16", "tiny-q8_0", "tiny-q4_k_m"}) {
    v1::CellPlan* cell = response.add_cells();
    cell->set_cell(std::string("model=") + model);
    cell->set_workload("chat");
    cell->add_devices("edge-7f3a");
  }
  response.set_jobs(3);
  response.set_blocks(1);
  response.set_runs_per_job(4);
  response.set_sha256("ab");
  return response;
}

// The state after `ended` of three jobs ended, `failed` of them badly.
v1::GetProgressResponse After(int ended, int failed = 0) {
  v1::GetProgressResponse progress;
  progress.set_experiment("exp-1");
  progress.set_name("quant-sweep");
  progress.set_jobs(3);
  progress.set_succeeded(ended - failed);
  progress.set_failed(failed);
  progress.set_active(ended < 3 ? 1 : 0);
  progress.set_queued(3 - ended - progress.active());
  progress.set_done(ended == 3);
  for (int i = 0; i < failed; ++i)
    progress.add_failures("job-2  USER: engine ended with signal 6\nlast words");
  if (ended < 3) {
    v1::ActiveJob* job = progress.add_active_jobs();
    job->set_device_id("edge-7f3a");
    job->set_cell("model=tiny-q8_0");
    job->set_state("RUNNING");
    job->set_detail("run 2 of 4");
  }
  return progress;
}

class Submit : public ::testing::Test {
 protected:
  Submit()
      : cli_(farm_.address()),
        directory_(std::filesystem::temp_directory_path() /
                   ("jf-cli-submit-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
    file_ = (directory_ / "exp.yaml").string();
    std::ofstream(file_) << "name: quant-sweep\n";
    farm_.OnSubmit([](const v1::SubmitExperimentRequest&) { return Accepted(); });
    farm_.OnList(SampleList);
    // A job ends with every second question.
    farm_.OnProgress(
        [this](const v1::GetProgressRequest&) { return After(std::min(3, asked_++ / 2)); });
  }
  ~Submit() override { std::filesystem::remove_all(directory_); }

  CliOutcome Run(std::vector<std::string> more) {
    std::vector<std::string> arguments{"submit", "-f", file_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return cli_.Run(arguments);
  }

  // Before the farm, whose calls use them until it is gone.
  std::promise<void> release_;
  std::atomic<int> asked_{0};
  FakeFarm farm_;
  CliRunner cli_;
  std::filesystem::path directory_;
  std::string file_;
};

TEST_F(Submit, PrintsTheIdAndHowToWatch) {
  const CliOutcome outcome =
      Run({"--set", "repetitions=5", "--set", "matrix.threads=[1,2]", "--request-id", "nightly"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.out,
            "exp-1 (quant-sweep) accepted: 3 cells × 1 device × 1 block, 12 runs\n"
            "  watch:    joulefarm experiment get exp-1 --watch\n"
            "  results:  joulefarm result list --experiment exp-1\n");
  const auto request = farm_.submissions().at(0);
  EXPECT_EQ(request.text(), "name: quant-sweep\n");
  EXPECT_EQ(request.file_name(), file_);
  EXPECT_EQ(request.request_id(), "nightly");
  EXPECT_THAT(std::vector<std::string>(request.set().begin(), request.set().end()),
              ElementsAre("repetitions=5", "matrix.threads=[1,2]"));
  EXPECT_FALSE(request.dry_run());
}

TEST_F(Submit, ReadsStandardInput) {
  cli_.input = "name: piped\n";
  EXPECT_EQ(cli_.Run({"submit", "-f", "-", "-o", "name"}).out, "exp-1\n");
  EXPECT_EQ(farm_.submissions().at(0).text(), "name: piped\n");
  EXPECT_EQ(farm_.submissions().at(0).file_name(), "stdin");
}

TEST_F(Submit, JsonForScripts) {
  const Json json = Json::parse(Run({"-o", "json"}).out);
  EXPECT_EQ(json["experiment"], "exp-1");
  EXPECT_EQ(json["jobs"], 3);
  EXPECT_EQ(json["existing"], false);
  EXPECT_EQ(json["cells"][1]["devices"][0], "edge-7f3a");
  EXPECT_TRUE(json["cells"][1]["blocked"].is_null());
}

TEST_F(Submit, LocalMistakes) {
  EXPECT_EQ(cli_.Run({"submit"}).exit, 2);
  EXPECT_THAT(cli_.Run({"submit", "-f", "/nowhere/exp.yaml"}).err,
              HasSubstr("cannot read /nowhere/exp.yaml: No such file or directory"));
  EXPECT_EQ(cli_.Run({"submit", "-f", directory_.string()}).exit, 2);
  EXPECT_EQ(Run({"--set", "novalue"}).exit, 2);
  EXPECT_EQ(Run({"--timeout", "5s"}).exit, 2);
  EXPECT_THAT(Run({"--wait", "--timeout", "5"}).err, HasSubstr("is not a duration"));
  EXPECT_EQ(Run({"--wait", "--dry-run"}).exit, 2);
  std::ofstream(file_) << "name: \xFF\n";
  EXPECT_THAT(Run({}).err, HasSubstr("is no UTF-8 text"));
  EXPECT_THAT(farm_.submissions(), IsEmpty());
}

TEST_F(Submit, TheControllersErrorsAreShownAsTheyAre) {
  const std::vector<absl::Status> refusals{
      absl::InvalidArgumentError(
          "exp.yaml:3:1: unknown key \"repetition\"; did you mean \"repetitions\"?"),
      absl::NotFoundError("exp.yaml:2:8: there is no model tiny"),
      absl::FailedPreconditionError("cell model=x can run nowhere"),
      absl::AlreadyExistsError("request id nightly was used with other content")};
  for (const absl::Status& refusal : refusals) {
    farm_.OnSubmit([&](const v1::SubmitExperimentRequest&) { return refusal; });
    const CliOutcome outcome = Run({});
    EXPECT_EQ(outcome.exit, 2);
    EXPECT_EQ(outcome.err, "error: " + std::string(refusal.message()) + "\n");
  }
}

TEST_F(Submit, DryRun) {
  CliOutcome outcome = Run({"--dry-run"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_TRUE(farm_.submissions().at(0).dry_run());
  EXPECT_THAT(outcome.out, HasSubstr("model=tiny-q8_0    chat      edge-7f3a\n"));
  farm_.OnSubmit([](const v1::SubmitExperimentRequest&) {
    auto response = Accepted();
    response.mutable_cells(1)->clear_devices();
    response.mutable_cells(1)->set_blocked("no device has cores>=64 (edge-7f3a: 2)");
    return response;
  });
  outcome = Run({"--dry-run"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.out, HasSubstr("nowhere: no device has cores>=64 (edge-7f3a: 2)"));
  EXPECT_THAT(outcome.err, HasSubstr("1 of 3 cells can run nowhere"));
  outcome = Run({"--dry-run", "-o", "json"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_EQ(Json::parse(outcome.out)["cells"][1]["blocked"],
            "no device has cores>=64 (edge-7f3a: 2)");
}

TEST_F(Submit, WaitShowsLinesAndTheSummary) {
  const CliOutcome outcome = Run({"--wait"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_EQ(outcome.err,
            "00:00  0 of 3 done, 1 running, 2 queued\n"
            "00:01  1 of 3 done, 1 running, 1 queued\n"
            "00:02  2 of 3 done, 1 running\n"
            "00:03  3 of 3 done\n");
  EXPECT_THAT(outcome.out,
              HasSubstr("quant-sweep (exp-1): 3 of 3 jobs succeeded in 00:03\n\nCELL  "));
  EXPECT_THAT(outcome.out,
              HasSubstr("tiny-f16     3        212 [205, 219]     84.1    ~0.061 ± 0.020"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("did not succeed")));
  for (const v1::ListRequest& list : farm_.lists())
    EXPECT_EQ(list.filters().at("experiment"), "exp-1");
}

TEST_F(Submit, WaitNamesJobsThatFailed) {
  farm_.OnProgress([](const v1::GetProgressRequest&) { return After(3, 1); });
  const CliOutcome outcome = Run({"--wait"});
  EXPECT_EQ(outcome.exit, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("2 of 3 jobs succeeded"),
                                 HasSubstr("1 job did not succeed:\n  job-2  USER: engine ended "
                                           "with signal 6\n      last words\n")));
}

TEST_F(Submit, WaitOnATerminalIsLiveAndLeavesOnlyTheEnd) {
  cli_.terminal = true;
  cli_.environment["NO_COLOR"] = "1";
  const CliOutcome outcome = Run({"--wait"});
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_THAT(outcome.err, HasSubstr("edge-7f3a  tiny-q8_0  running  run 2 of 4"));
  EXPECT_THAT(outcome.err, HasSubstr("about 00:02 left"));
  EXPECT_EQ(outcome.err.substr(outcome.err.size() - 4), "\r\x1b[J");
}

TEST_F(Submit, WaitWithJsonPrintsOneObject) {
  farm_.OnProgress([](const v1::GetProgressRequest&) { return After(3, 1); });
  const CliOutcome outcome = Run({"--wait", "-o", "json"});
  EXPECT_EQ(outcome.exit, 1);
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["succeeded"], 2);
  EXPECT_EQ(json["failed"], 1);
  EXPECT_EQ(json["done"], true);
  EXPECT_EQ(json["failures"].size(), 1u);
  EXPECT_THAT(outcome.err, HasSubstr("exp-1 (quant-sweep) accepted"));
}

TEST_F(Submit, TimeoutLeavesTheJobsRunning) {
  farm_.OnProgress([](const v1::GetProgressRequest&) { return After(1); });
  const CliOutcome outcome = Run({"--wait", "--timeout", "1200ms"});
  EXPECT_EQ(outcome.exit, 4);
  EXPECT_EQ(cli_.sleeps, 3);  // 500, 500, 200 ms
  EXPECT_THAT(outcome.err,
              HasSubstr("Time-out: stopped watching with 1 of 3 jobs done. The jobs go on.\n  "
                        "watch again:  joulefarm experiment get exp-1 --wait"));
}

TEST_F(Submit, CtrlCDetaches) {
  farm_.OnProgress([](const v1::GetProgressRequest&) { return After(1); });
  cli_.on_sleep = [this] { cli_.interrupt = true; };
  const CliOutcome outcome = Run({"--wait"});
  EXPECT_EQ(outcome.exit, 130);
  EXPECT_THAT(outcome.err, HasSubstr("Detached with 1 of 3 jobs done. The jobs go on.\n"));
  EXPECT_THAT(outcome.err, HasSubstr("joulefarm experiment cancel exp-1"));
}

TEST_F(Submit, CtrlCDuringACallThatHangs) {
  farm_.OnProgress([this](const v1::GetProgressRequest&) {
    cli_.interrupt = true;
    release_.get_future().wait();  // longer than the client waits
    return After(0);
  });
  const CliOutcome outcome = Run({"--wait"});
  release_.set_value();
  EXPECT_EQ(outcome.exit, 130);
}

TEST_F(Submit, AControllerThatRestartsDoesNotEndTheWait) {
  int sleeps = 0;
  cli_.on_sleep = [&] {
    ++sleeps;
    if (sleeps == 1) farm_.Stop();
    if (sleeps == 4) farm_.Start();
  };
  const CliOutcome outcome = Run({"--wait"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("The controller at " + farm_.address() + " cannot be reached ("));
  EXPECT_THAT(outcome.err, HasSubstr("The controller answers again after "));
  EXPECT_THAT(outcome.out, HasSubstr("3 of 3 jobs succeeded"));
}

TEST_F(Submit, AControllerThatStaysAwayRunsIntoTheTimeout) {
  cli_.on_sleep = [this] { farm_.Stop(); };
  const CliOutcome outcome = Run({"--wait", "--timeout", "30s"});
  EXPECT_EQ(outcome.exit, 4);
  EXPECT_THAT(outcome.err, HasSubstr("with 0 of 3 jobs done"));
}

TEST_F(Submit, AnExperimentThatIsGoneEndsTheWait) {
  farm_.OnProgress([](const v1::GetProgressRequest& request) {
    return absl::NotFoundError("no experiment has the id or name " + request.experiment());
  });
  const CliOutcome outcome = Run({"--wait"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no experiment has the id or name exp-1"));
}

TEST_F(Submit, ResultsThatCannotBeListedAreAnError) {
  farm_.OnProgress([](const v1::GetProgressRequest&) { return After(3); });
  farm_.OnList(
      [](const v1::ListRequest&) { return absl::InternalError("the database is damaged"); });
  const CliOutcome outcome = Run({"--wait"});
  EXPECT_EQ(outcome.exit, 3);
  EXPECT_THAT(outcome.out, HasSubstr("3 of 3 jobs succeeded"));
  EXPECT_THAT(outcome.err, HasSubstr("the database is damaged"));
}

TEST_F(Submit, ExperimentGetWaitWatchesLater) {
  const CliOutcome outcome = cli_.Run({"experiment", "get", "quant-sweep", "--wait"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      HasSubstr(
          "quant-sweep (exp-1): 3 of 3 jobs succeeded\n"));  // how long it took is not known here
}

TEST_F(Submit, HintsNameTheControllerThatWasChosen) {
  CliRunner bare("");
  const CliOutcome outcome = bare.Run({"--controller", farm_.address(), "submit", "-f", file_});
  EXPECT_THAT(outcome.out, HasSubstr("joulefarm --controller " + farm_.address() +
                                     " experiment get exp-1 --watch"));
}

}  // namespace
}  // namespace joulefarm::cli
