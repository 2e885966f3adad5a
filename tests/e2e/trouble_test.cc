// Second copies, absent controllers, files that are not ours and full disks: an error that says
// what, where and what to do, and daemons that stay up.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/agent/small_disk.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Ne;

class TroubleTest : public FarmTest {
 protected:
  // A controller that is expected not to start.
  Ended RefusedController(const std::string& state, const std::string& listen = "127.0.0.1:0",
                          const std::string& http = "127.0.0.1:0") {
    return StartProgram("refused",
                        {JF_CONTROLLER, "--listen", listen, "--http", http, "--state", state})
        ->Finish();
  }
  Ended RefusedAgent(const std::string& state, const Args& more = {}) {
    Args argv = {JF_AGENT, "--controller", address(), "--state", state};
    argv.insert(argv.end(), more.begin(), more.end());
    return StartProgram("refused-agent", argv)->Finish();
  }
  void ExpectWorks(const std::string& name) {
    EXPECT_EQ(
        Submit(CommandExperiment(name, "true", "[1]", "repetitions: 1\nwarmup: 0\n"), {"--wait"})
            .code,
        0);
  }
  // A script that prints a lot once it may go.
  std::string Flood() const {
    return absl::StrCat("echo x >> ", (dir() / "starts").string(), "\nuntil [ -e ",
                        (dir() / "go").string(), " ]; do sleep 0.02; done\nyes ",
                        std::string(150, 'f'), " | head -n 10000\necho x >> ",
                        (dir() / "done").string());
  }
};

TEST_F(TroubleTest, ASecondControllerOnTheSameStateIsRefused) {
  StartController();
  const Ended second = RefusedController(controller_state());
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err,
              AllOf(HasSubstr(controller_state().string()),
                    HasSubstr(absl::StrCat("process ", controller().pid())), HasSubstr("--state")));
  EXPECT_EQ(Http("/healthz").status, 200);
}

TEST_F(TroubleTest, ASecondControllerOnTheSamePortIsRefused) {
  StartController();
  const Ended grpc = RefusedController(dir() / "other", address());
  EXPECT_EQ(grpc.code, 1);
  EXPECT_THAT(grpc.err, AllOf(HasSubstr(address()), HasSubstr("in use"), HasSubstr("--listen")));
  const Ended http = RefusedController(dir() / "other", "127.0.0.1:0", http_address());
  EXPECT_EQ(http.code, 1);
  EXPECT_THAT(http.err, AllOf(HasSubstr(http_address()), HasSubstr("in use"), HasSubstr("--http")));
  EXPECT_EQ(Http("/healthz").status, 200);
}

TEST_F(TroubleTest, ASecondAgentWithTheSameIdEndsTheOlderForGood) {
  StartController();
  StartAgentAndWait("a");
  StartAgent("a2", {}, {"--id", "a"});
  const std::optional<int> code = agent("a").Wait();
  ASSERT_TRUE(code.has_value());
  EXPECT_NE(*code, 0);
  EXPECT_THAT(agent("a").err(), HasSubstr("--id"));
  ASSERT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  ExpectWorks("after");
  EXPECT_TRUE(agent("a2").Running());
}

TEST_F(TroubleTest, ASecondAgentOnTheSameStateIsRefused) {
  StartController();
  StartAgentAndWait("a");
  const Ended second = RefusedAgent(agent_state("a"));
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err, AllOf(HasSubstr(agent_state("a").string()), HasSubstr("in use"),
                                HasSubstr("--state")));
  ExpectWorks("after");
}

TEST_F(TroubleTest, WithoutAControllerTheAgentStaysAndTheCliSaysWhatToDo) {
  // Its port is known, but it is not there yet.
  StartController();
  StopController();
  StartAgent("a");
  EXPECT_TRUE(Eventually([this] {
    return agent("a").err().find(address() + " cannot be reached") != std::string::npos ||
           agent("a").err().find("cannot reach") != std::string::npos;
  })) << agent("a").err();
  EXPECT_TRUE(agent("a").Running());
  const Ended cli = RunCli({"device", "list"});
  EXPECT_EQ(cli.code, 3);
  EXPECT_THAT(cli.err, AllOf(HasSubstr("cannot reach the controller at " + address()),
                             HasSubstr("--controller")));
  EXPECT_EQ(Submit(CommandExperiment("x", "true"), {"--wait"}).code, 3);
  StartController();
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  ExpectWorks("late");
}

TEST_F(TroubleTest, AnAddressThatIsNoneIsAUsageError) {
  for (const char* address : {"nowhere", "127.0.0.1:99999", ":5", "127.0.0.1:"}) {
    const Ended cli = RunCli({"--controller", address, "device", "list"});
    EXPECT_EQ(cli.code, 2) << address << cli.err;
    EXPECT_EQ(
        StartProgram("a", {JF_AGENT, "--controller", address, "--state", (dir() / "s").string()})
            ->Finish()
            .code,
        2)
        << address;
    EXPECT_EQ(
        StartProgram("c", {JF_CONTROLLER, "--listen", address, "--state", (dir() / "s").string()})
            ->Finish()
            .code,
        2)
        << address;
  }
  const Ended open = RefusedController(dir() / "open", "0.0.0.0:0");
  EXPECT_NE(open.code, 0);
  EXPECT_THAT(open.err, HasSubstr("--allow-plaintext"));
}

TEST_F(TroubleTest, ADatabaseOfANewerVersionIsLeftAlone) {
  StartController();
  StopController();
  const std::string file = (controller_state() / "joulefarm.db").string();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const Ended refused = RefusedController(controller_state());
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr(file), HasSubstr("99"), HasSubstr("newer")));
  EXPECT_EQ(Value("PRAGMA user_version"), "99");
}

TEST_F(TroubleTest, AFileThatIsNoDatabaseIsLeftAlone) {
  std::filesystem::create_directories(controller_state());
  const std::filesystem::path file = controller_state() / "joulefarm.db";
  const std::string text =
      "Dear diary, this is no database but a long enough text to be looked at.\n";
  WriteFile(file, text);
  const Ended refused = RefusedController(controller_state());
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr(file.string()), HasSubstr("not a database")));
  EXPECT_EQ(ReadFile(file), text);
  // Another program's database.
  std::filesystem::remove(file);
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA application_id = 77; CREATE TABLE recipe (name)", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  const Ended foreign = RefusedController(controller_state());
  EXPECT_EQ(foreign.code, 1);
  EXPECT_THAT(foreign.err, HasSubstr(file.string()));
  EXPECT_EQ(Value("select count(*) from sqlite_master"), "1");
}

TEST_F(TroubleTest, AStateThatCannotBeWrittenIsRefused) {
  StartController();
  WriteFile(dir() / "file", "");
  for (const std::string& state : Args{"/proc/joulefarm", (dir() / "file").string()}) {
    const Ended controller = RefusedController(state);
    EXPECT_EQ(controller.code, 1);
    EXPECT_THAT(controller.err, AllOf(HasSubstr(state), HasSubstr("--state")));
    const Ended agent = RefusedAgent(state);
    EXPECT_EQ(agent.code, 1);
    EXPECT_THAT(agent.err, AllOf(HasSubstr(state), HasSubstr("--state")));
  }
}

TEST_F(TroubleTest, BadConfigurationNamesFileLineAndKey) {
  const std::string file = (dir() / "bad.yaml").string();
  struct Case {
    const char* text;
    const char* place;
    const char* says;
  };
  for (const Case& bad : {Case{"listn: 127.0.0.1:0\n", ":1:1", "listen"},
                          Case{"state: /tmp/x\nttl: soon\n", ":2:6", "ttl"},
                          Case{"listen: a\nlisten: b\n", ":2:1", "listen"},
                          Case{"listen: [1]\n", ":1:9", "listen"}}) {
    WriteFile(file, bad.text);
    const Ended ended = StartProgram("c", {JF_CONTROLLER, "--config", file})->Finish();
    EXPECT_EQ(ended.code, 2) << bad.text << ended.err;
    EXPECT_THAT(ended.err, AllOf(HasSubstr(file + bad.place), HasSubstr(bad.says))) << bad.text;
  }
  for (const Case& bad : {Case{"controler: x\n", ":1:1", "controller"},
                          Case{"estimated_power: {idle_w: hot}\n", ":1:27", "idle_w"},
                          Case{"spool_max_bytes: 5\n", ":1:18", "spool_max_bytes"},
                          Case{"labels: {a: b, a: c}\n", ":1:16", "a"}}) {
    WriteFile(file, bad.text);
    const Ended ended = StartProgram("a", {JF_AGENT, "--config", file})->Finish();
    EXPECT_EQ(ended.code, 2) << bad.text << ended.err;
    EXPECT_THAT(ended.err, AllOf(HasSubstr(file + bad.place), HasSubstr(bad.says))) << bad.text;
  }
  for (const char* program : {JF_CONTROLLER, JF_AGENT}) {
    const Ended missing =
        StartProgram("missing", {program, "--config", (dir() / "none.yaml").string()})->Finish();
    EXPECT_EQ(missing.code, 2);
    EXPECT_THAT(missing.err, HasSubstr("none.yaml"));
    EXPECT_EQ(StartProgram("flag", {program, "--nonsense"})->Finish().code, 2);
    EXPECT_EQ(StartProgram("version", {program, "--version"})->Finish().code, 0);
  }
}

TEST_F(TroubleTest, AFullDiskOfTheControllerLosesNothing) {
  agent::SmallDisk disk(64 * 1024);
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small file system";
  KeepControllerStateIn(disk.path() / "controller");
  StartController();
  StartAgentAndWait("a");
  WriteFile(dir() / "go", "");
  const auto cli = StartSubmit(
      CommandExperiment("full", Flood(), "[1, 2, 3, 4, 5, 6]", "repetitions: 1\nwarmup: 0\n"),
      {"--wait"});
  ASSERT_TRUE(Eventually([this] { return CountLines(dir() / "done") >= 2; }));
  HttpAnswer health;
  ASSERT_TRUE(Eventually([&] {
    disk.Fill();
    health = Http("/healthz");
    return health.status == 503;
  })) << "it never noticed";
  EXPECT_THAT(health.body, AllOf(HasSubstr("read-only"), HasSubstr("full")));
  EXPECT_TRUE(controller().Running());
  const Ended refused = Submit(CommandExperiment("not-now", "true"));
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, AnyOf(HasSubstr("cannot write"), HasSubstr("full")));
  EXPECT_TRUE(agent("a").Running());
  EXPECT_TRUE(cli->Running());

  disk.Empty();
  const Ended ended = cli->Finish();
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_EQ(Http("/healthz").status, 200);
  EXPECT_THAT(Sql("select state, attempts, count(*) from job group by 1, 2"),
              ElementsAre(ElementsAre("SUCCEEDED", "1", "6")));
  EXPECT_EQ(Value("select count(*) from result"), "6");
  EXPECT_EQ(CountLines(dir() / "done"), 6u) << "a job was executed twice";
  EXPECT_THAT(Sql("select distinct n from (select count(*) as n from log where text like 'fff%' "
                  "group by attempt)"),
              ElementsAre(ElementsAre("10000")));
  // Before the disk goes away under it.
  StopController();
}

TEST_F(TroubleTest, AFullDiskOfTheAgentIsAFailureOfTheFarmNotOfTheJob) {
  agent::SmallDisk disk(12 * 1024);
  if (!disk.mounted()) GTEST_SKIP() << "only root can mount a small file system";
  StartController();
  StartAgentAndWait("a", {}, {"--state", (disk.path() / "agent").string()});
  const auto cli = StartSubmit(
      CommandExperiment("full", Flood(), "[1]", "repetitions: 1\nwarmup: 0\nretries: 0\n"),
      {"--wait"});
  ASSERT_TRUE(Eventually([this] { return CountLines(dir() / "starts") == 1; }));
  disk.Fill();
  WriteFile(dir() / "go", "");
  ASSERT_TRUE(Eventually([this] {
    return agent("a").err().find("cannot keep") != std::string::npos;
  })) << agent("a").err();
  EXPECT_TRUE(agent("a").Running());
  // What it must say last may need a moment of room.
  const bool said = Eventually([&] { return !cli->Running(); }, std::chrono::seconds(5));
  disk.Empty();
  const Ended ended = cli->Finish();
  EXPECT_EQ(ended.code, 1) << ended.out << ended.err;
  RecordProperty("final_fit_on_the_full_disk", said ? 1 : 0);
  EXPECT_THAT(Sql("select state, failure_class from job"),
              ElementsAre(ElementsAre("FAILED", "INFRA")));
  EXPECT_THAT(Value("select reason from job"), HasSubstr("full"));
  EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
  EXPECT_TRUE(agent("a").Running());
  ExpectNoStrays();
  ExpectWorks("after");
  agent("a").Signal(SIGTERM);
  EXPECT_EQ(agent("a").Wait(), std::optional<int>(0));
}

}  // namespace
}  // namespace joulefarm::e2e
