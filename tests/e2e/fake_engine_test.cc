// Engines that are missing, crash, hang or print garbage: the job ends in the right class with the
// engine's last words, the agent stays up, and the next job is fine.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FakeEngineTest : public FarmTest {
 protected:
  void SetUp() override {
    StartController();
    const std::string model = (dir() / "tiny.gguf").string();
    ASSERT_EQ(StartProgram("make-model", {JF_MAKE_MODEL, "--tiny", model})->Finish().code, 0);
    ASSERT_EQ(RunCli({"artifact", "push", model}).code, 0);
  }

  std::filesystem::path engine_dir() const { return dir() / "engine"; }

  // llama-server as a script that behaves as the file says, so that it can change while the agent
  // runs.
  void InstallEngine() {
    std::filesystem::create_directories(engine_dir());
    const std::string script = (engine_dir() / "llama-server").string();
    Behave("normal");
    WriteFile(script,
              absl::StrCat("#!/bin/sh\nread -r FAKE_LLAMA_MODE < ", (dir() / "mode").string(),
                           "\nexport FAKE_LLAMA_MODE\nexec ", JF_FAKE_LLAMA_SERVER, " \"$@\"\n"));
    ASSERT_EQ(chmod(script.c_str(), 0755), 0);
  }
  void Behave(const std::string& mode) { WriteFile(dir() / "mode", mode + "\n"); }

  Ended Generate(const std::string& name, const std::string& more = "") {
    return Submit(absl::StrCat("name: ", name,
                               "\nmodel: tiny\nworkloads: {chat: {kind: generate, prompts: [{text: "
                               "hello}], max_tokens: 8}}\n"
                               "repetitions: 1\nwarmup: 0\npower: {require: none}\nplan: {settle: "
                               "0s, idle: 0s, pause: 0s, tail: 0s}\n",
                               more),
                  {"--wait"});
  }

  // A job of this behaviour ends FAILED in the class, says all of `says`, and a normal one after it
  // succeeds.
  void ExpectFailure(const std::string& mode, const std::string& failure_class, const Args& says,
                     const std::string& more = "") {
    SCOPED_TRACE(mode);
    Behave(mode);
    std::string name = mode;
    const Ended failed = Generate(name, more);
    EXPECT_EQ(failed.code, 1) << failed.out << failed.err;
    EXPECT_THAT(failed.out, HasSubstr(failure_class));
    const nlohmann::json jobs = CliJson({"job", "list", "--experiment", name});
    ASSERT_EQ(jobs.size(), 1u);
    EXPECT_EQ(jobs[0]["state"], "FAILED");
    EXPECT_EQ(jobs[0]["failure_class"], failure_class);
    EXPECT_EQ(jobs[0]["attempts"], 1) << "a failure of the engine is no reason to try again";
    const Ended shown = RunCli({"job", "get", jobs[0]["id"]});
    for (const std::string& part : says) {
      EXPECT_THAT(jobs[0]["reason"].get<std::string>(), HasSubstr(part));
      EXPECT_THAT(shown.out, HasSubstr(part));
    }
    EXPECT_TRUE(Eventually([this] { return DeviceIs("a", "ONLINE FREE"); }));
    ExpectNoStrays();
    Behave("normal");
    const Ended next = Generate(mode + "-next");
    EXPECT_EQ(next.code, 0) << next.out << next.err;
    EXPECT_TRUE(agent("a").Running());
  }
};

TEST_F(FakeEngineTest, AMissingEngineIsTriedAgainAndSaysWhereItWasLookedFor) {
  const std::string nowhere = (dir() / "nowhere").string();
  StartAgentAndWait("a",
                    {{"JOULEFARM_ENGINE_DIR", nowhere}, {"PATH", (dir() / "no-path").string()}});
  const Ended ended = Generate("missing");
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.out, AllOf(HasSubstr("INFRA"), HasSubstr(nowhere), HasSubstr("no-path"),
                               HasSubstr("JOULEFARM_ENGINE_DIR")));
  EXPECT_THAT(Sql("select state, failure_class, attempts from job"),
              ElementsAre(ElementsAre("FAILED", "INFRA", "3")));
  EXPECT_TRUE(agent("a").Running());
}

TEST_F(FakeEngineTest, AnEngineThatCrashesIsTheJobsOwnFailure) {
  InstallEngine();
  StartAgentAndWait("a", {{"JOULEFARM_ENGINE_DIR", engine_dir().string()}});
  ASSERT_EQ(Generate("fine").code, 0);
  EXPECT_THAT(Sql("select n_gen, engine_version from result"),
              ElementsAre(ElementsAre("8", "9999 (fake)")));
  ExpectFailure("crash_at_load", "USER", {"invalid model file", "while loading"});
  ExpectFailure("crash_mid", "USER", {"about to crash", "SIGSEGV"});
  ExpectFailure("truncated", "USER", {"run 1 of 1"});
}

TEST_F(FakeEngineTest, AnEngineThatHangsIsATimeOut) {
  InstallEngine();
  StartAgentAndWait("a", {{"JOULEFARM_ENGINE_DIR", engine_dir().string()}});
  ExpectFailure("hang_mid", "TIMEOUT", {"fake: loading", "limit"}, "limits: {run: 1s}\n");
  ExpectFailure("hang_load", "TIMEOUT", {"fake: loading", "prepare"}, "limits: {prepare: 1s}\n");
}

TEST_F(FakeEngineTest, AnEngineThatPrintsGarbageIsTheJobsOwnFailure) {
  InstallEngine();
  StartAgentAndWait("a", {{"JOULEFARM_ENGINE_DIR", engine_dir().string()}});
  ExpectFailure("garbage_http", "USER", {"fake: loading"});
  ExpectFailure("garbage_sse", "USER", {"fake: loading"});
  ExpectFailure("garbage_health", "USER", {"fake: loading"});
  ExpectFailure("error_event", "USER", {"decode failed"});
  ExpectFailure("refuse", "USER", {"exceeds the available context size"});
  ExpectFailure("oom_at_load", "OOM", {"bad_alloc"});
}

TEST_F(FakeEngineTest, AnEngineThatDoesNotWantToEndLeavesNothing) {
  InstallEngine();
  StartAgentAndWait("a", {{"JOULEFARM_ENGINE_DIR", engine_dir().string()}});
  for (const char* mode : {"ignores_term", "leaves_child"}) {
    Behave(mode);
    EXPECT_EQ(Generate(mode).code, 0) << mode;
    ExpectNoStrays();
  }
  // An engine that was removed after the agent found it.
  std::filesystem::remove(engine_dir() / "llama-server");
  const Ended gone = Generate("gone", "retries: 0\n");
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.out, AllOf(HasSubstr("INFRA"), HasSubstr("llama-server")));
}

}  // namespace
}  // namespace joulefarm::e2e
