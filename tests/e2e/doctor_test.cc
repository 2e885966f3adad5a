// `joulefarm doctor` with real programs: what it says of a farm that is well, and of one that is
// not.
#include <gmock/gmock.h>
#include <signal.h>

#include "absl/strings/str_cat.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DoctorTest : public FarmTest {
 protected:
  // "LEVEL text" of every finding of an area.
  static std::string Of(const nlohmann::json& findings, const std::string& area) {
    std::string out;
    for (const auto& one : findings) {
      if (one["area"] == area) {
        absl::StrAppend(&out, one["level"].get<std::string>(), " ", one["text"].get<std::string>(),
                        "\n");
      }
    }
    return out;
  }
};

TEST_F(DoctorTest, AFarmThatIsWellAndThenHasAnAgentLess) {
  StartController();
  StartAgentAndWait("a");
  const Ended well = RunCli({"doctor"});
  EXPECT_EQ(well.code, 0) << well.out;
  EXPECT_THAT(well.out, HasSubstr("This host\n"));
  EXPECT_THAT(well.out, Not(HasSubstr("not checked")))
      << "joulefarm-agent lies beside joulefarm, and speaks its language";
  EXPECT_THAT(well.out, Not(HasSubstr("127.0.0.1:7070"))) << "nobody named that controller";
  const nlohmann::json findings = CliJson({"doctor", "--thorough"});
  EXPECT_THAT(Of(findings, "controller"), HasSubstr("works and writes"));
  EXPECT_THAT(Of(findings, "database"), HasSubstr("OK "));
  EXPECT_THAT(Of(findings, "agent"), HasSubstr("OK all 1 online"));
  EXPECT_THAT(Of(findings, "version"), HasSubstr("OK "));

  agent("a").Signal(SIGTERM);
  ASSERT_TRUE(agent("a").Wait().has_value());
  ASSERT_TRUE(Eventually([this] { return Value("select link from agent") != "ONLINE"; }));
  const Ended less = RunCli({"doctor"});
  EXPECT_EQ(less.code, 0) << "warnings are allowed";
  EXPECT_THAT(less.out, HasSubstr("1 of 1 not online: a"));
}

TEST_F(DoctorTest, WhatIsBrokenMakesExitThreeAndHasACure) {
  StartController();
  WriteFile(dir() / "notes", "content");
  ASSERT_EQ(RunCli({"artifact", "push", (dir() / "notes").string()}).code, 0);
  const std::string sha = Value("select sha256 from artifact");
  std::filesystem::remove(controller_state() / "artifacts" / sha);
  const Ended missing = RunCli({"doctor"});
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.out, HasSubstr("the content of notes is missing or damaged"));
  EXPECT_THAT(missing.out, HasSubstr("→ push the same file again"));
  ASSERT_EQ(RunCli({"artifact", "push", (dir() / "notes").string()}).code, 0);
  EXPECT_EQ(RunCli({"doctor"}).code, 0);

  StopController();
  const Ended gone = RunCli({"doctor"});
  EXPECT_EQ(gone.code, 3);
  EXPECT_THAT(gone.out, HasSubstr("it does not answer"));
  EXPECT_THAT(gone.out, HasSubstr("→ start joulefarm-controller"));
}

TEST_F(DoctorTest, TheAgentsOwnDoctorLooksAtATreeSomebodySent) {
  std::filesystem::create_directories(dir() / "tree" / "proc");
  WriteFile(dir() / "tree" / "proc" / "stat", "cpu 1 2 3 4\n");
  WriteFile(dir() / "tree" / "proc" / "meminfo", "MemTotal: 8000000 kB\nMemAvailable: 90000 kB\n");
  const Ended said = StartProgram("agent-doctor", {JF_AGENT, "doctor", "--root",
                                                   (dir() / "tree").string(), "-o", "json"})
                         ->Finish();
  EXPECT_EQ(said.code, 0) << said.err;
  const auto findings = nlohmann::json::parse(said.out);
  EXPECT_THAT(Of(findings, "memory"), HasSubstr("WARNING 92.2 MB of 8.19 GB memory available"));
  EXPECT_EQ(Of(findings, "disk"), "");
}

TEST_F(DoctorTest, ATreeThatIsNotThereIsNoHostWithoutSensors) {
  const std::string nowhere = (dir() / "nowhere").string();
  for (const Args& command : {Args{"doctor"}, Args{"meters"}, Args{"meters", "latency"},
                              Args{"meters", "tare"}, Args{"--state", (dir() / "s").string()}}) {
    Args argv = {JF_AGENT};
    argv.insert(argv.end(), command.begin(), command.end());
    argv.insert(argv.end(), {"--root", nowhere});
    const Ended refused = StartProgram("agent-nowhere", argv)->Finish();
    EXPECT_EQ(refused.code, 2) << command.back();
    EXPECT_THAT(refused.err, HasSubstr("--root " + nowhere + ": there is no such directory; "));
    EXPECT_EQ(refused.out, "");
  }
}

}  // namespace
}  // namespace joulefarm::e2e
