// Looking at a farm of real programs while it works: experiments, jobs, logs, devices, and a copy
// of its database.
#include <gmock/gmock.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class WatchTest : public FarmTest {
 protected:
  // Says a line, then waits for the file `go`, says another and ends.
  std::string Waiting() const {
    return absl::StrCat("echo before\nwhile [ ! -e ", (dir() / "go").string(),
                        " ]; do sleep 0.05; done\necho after");
  }
  void Go() { WriteFile(dir() / "go", ""); }
  bool JobIs(const std::string& state) {
    return Eventually([&] { return Value("select state from job where id = 'job-1'") == state; });
  }
  // Of every table.
  Rows RowCounts() {
    std::vector<std::string> counts;
    for (const auto& table : Sql("select name from sqlite_schema where type = 'table' order by 1"))
      counts.push_back(absl::StrCat("select '", table[0], "', count(*) from ", table[0]));
    return Sql(absl::StrJoin(counts, " union all "));
  }
  // Submits one job and waits until it runs.
  void RunOne() {
    StartController();
    StartAgentAndWait("a");
    ASSERT_EQ(
        Submit(CommandExperiment("slow", Waiting(), "[1]", "repetitions: 1\nwarmup: 0\n")).code, 0);
    ASSERT_TRUE(
        Eventually([&] { return Value("select count(*) from log where text = 'before'") == "1"; }));
  }
};

TEST_F(WatchTest, DevicesTellWhatTheyDoOnlyToWhoeverWatches) {
  RunOne();
  const Ended ended = RunCli({"device", "watch", "a", "-o", "jsonl", "--count", "3"});
  ASSERT_EQ(ended.code, 0) << ended.err;
  int lines = 0;
  for (const auto line : absl::StrSplit(ended.out, '\n', absl::SkipEmpty())) {
    const json reading = json::parse(std::string(line.data(), line.size()));
    EXPECT_EQ(reading["device_id"], "a");
    EXPECT_EQ(reading["fence"], 1);
    EXPECT_TRUE(reading["tokens_per_s"].is_null());
    EXPECT_GT(reading["t_ns"], 0);
    ++lines;
  }
  EXPECT_EQ(lines, 3);
  EXPECT_EQ(RunCli({"device", "watch", "nonsuch"}).code, 2);
  Go();
  ASSERT_TRUE(JobIs("SUCCEEDED"));
  ASSERT_TRUE(Eventually([&] {
    return Value("select count(*) from attempt where finalised = 1") == "1" &&
           DeviceIs("a", "ONLINE FREE");
  }));
  // Nothing of it is stored. Between attempts, when nothing else is.
  const Rows before = RowCounts();
  EXPECT_GT(before.size(), 10U);
  const Ended idle = RunCli({"device", "watch", "a", "-o", "jsonl", "--count", "3"});
  ASSERT_EQ(idle.code, 0) << idle.err;
  EXPECT_THAT(idle.out, HasSubstr("\"fence\": null"));
  EXPECT_EQ(RowCounts(), before);
}

TEST_F(WatchTest, ALogIsFollowedOverARestartOfTheControllerToItsEnd) {
  RunOne();
  const auto follower = StartCli({"job", "logs", "job-1", "-f"});
  ASSERT_TRUE(Eventually([&] { return follower->out().find("before") != std::string::npos; }));
  StopController();
  ASSERT_TRUE(
      Eventually([&] { return follower->err().find("cannot be reached") != std::string::npos; }));
  StartController();
  ASSERT_TRUE(
      Eventually([&] { return follower->err().find("answers again") != std::string::npos; }));
  Go();
  const Ended ended = follower->Finish();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_EQ(ended.out.find("before"), ended.out.rfind("before"));
  EXPECT_EQ(ended.out.find("after"), ended.out.rfind("after"));
  EXPECT_THAT(ended.out, AllOf(HasSubstr("  before\n"), HasSubstr("  after\n")));
}

TEST_F(WatchTest, WatchingASubmissionEndsLikeWaitingForIt) {
  StartController();
  StartAgentAndWait("a");
  Go();
  const Ended good =
      Submit(CommandExperiment("good", Waiting(), "[1, 2]", "repetitions: 2\n"), {"--watch"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("2 of 2 jobs succeeded"));
  EXPECT_THAT(good.err, AllOf(HasSubstr("2 of 2 done"), Not(HasSubstr("\x1b"))));
  const Ended bad = Submit(CommandExperiment("bad", "exit 3"), {"--watch"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, HasSubstr("1 job did not succeed"));
  EXPECT_EQ(RunCli({"job", "watch", "job-1", "job-2"}).code, 0);
  EXPECT_EQ(RunCli({"job", "watch", "job-1", "job-3"}).code, 1);
}

TEST_F(WatchTest, ControlCStopsTheWatchingAndNotTheJob) {
  RunOne();
  const auto watcher = StartCli({"job", "watch", "job-1"});
  ASSERT_TRUE(Eventually([&] { return watcher->err().find("run 1 of") != std::string::npos; }));
  watcher->Signal(SIGINT);
  const Ended ended = watcher->Finish();
  EXPECT_EQ(ended.code, 130);
  EXPECT_THAT(ended.err, HasSubstr("The jobs go on."));
  EXPECT_EQ(Value("select state from job where id = 'job-1'"), "ACTIVE");
  Go();
  EXPECT_TRUE(JobIs("SUCCEEDED"));
}

TEST_F(WatchTest, ABackupMadeWhileTheFarmWorksIsAWholeDatabase) {
  RunOne();
  const std::string file = (dir() / "copy.db").string();
  const Ended made = RunCli({"backup", file});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("checked\n"));
  EXPECT_EQ(RunCli({"sql", "--db", file, "select state from job", "-o", "csv"}).out,
            "state\nACTIVE\n");
  EXPECT_EQ(RunCli({"backup", file}).code, 2);
  EXPECT_EQ(RunCli({"backup", file, "--force"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(file + ".part"));
  EXPECT_FALSE(std::filesystem::exists(controller_state() / "backup.tmp"));
  Go();
  ASSERT_TRUE(JobIs("SUCCEEDED"));
  StopController();
  // A farm can go on from it: the attempt it knows is still live, and its result was delivered
  // elsewhere, so it is tried again.
  std::filesystem::remove(controller_state() / "joulefarm.db-wal");
  std::filesystem::remove(controller_state() / "joulefarm.db-shm");
  std::filesystem::copy_file(file, controller_state() / "joulefarm.db",
                             std::filesystem::copy_options::overwrite_existing);
  StartController();
  EXPECT_TRUE(JobIs("SUCCEEDED"));
}

}  // namespace
}  // namespace joulefarm::e2e
