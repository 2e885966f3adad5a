// Files on their way, with real programs that are killed in the middle: what was transferred is not
// transferred again, and what arrives is right.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/farm.h"
#include "tests/e2e/stalling_proxy.h"

namespace joulefarm::e2e {
namespace {

using ::testing::HasSubstr;
using Direction = StallingProxy::Direction;

constexpr std::int64_t kMib = 1 << 20;
// HTTP/2 frames and heartbeats beside the content.
constexpr std::int64_t kSlack = kMib / 2;

class ArtifactTest : public FarmTest {
 protected:
  // A model as large as `mib`, of content that depends on `seed`.
  std::string MakeModel(const std::string& name, int mib, char seed) {
    const std::filesystem::path tiny = dir() / "seed.gguf";
    const std::filesystem::path path = dir() / (name + ".gguf");
    const Ended made =
        StartProgram("make-model", {JF_MAKE_MODEL, "--tiny", tiny.string()})->Finish();
    EXPECT_EQ(made.code, 0) << made.err;
    std::filesystem::copy_file(tiny, path, std::filesystem::copy_options::overwrite_existing);
    // What follows the last tensor's data belongs to the file and to nothing in it.
    std::ofstream out(path, std::ios::binary | std::ios::app);
    std::string block(kMib, seed);
    for (int i = 0; i < mib; ++i) {
      block[0] = static_cast<char>(i);
      out << block;
    }
    return path.string();
  }
  std::string Sha(const std::string& name) {
    return Value(absl::StrCat("select sha256 from artifact where name = '", name, "'"));
  }
  std::int64_t SizeOf(const std::filesystem::path& path) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    return error ? -1 : static_cast<std::int64_t>(size);
  }
  std::filesystem::path Stored(const std::string& sha, const std::string& suffix = "") const {
    return controller_state() / "artifacts" / (sha + suffix);
  }
  // What the controller has of a push that goes on, or -1.
  std::int64_t Kept() {
    for (const auto& entry :
         std::filesystem::directory_iterator(controller_state() / "artifacts")) {
      if (entry.path().extension() == ".part") return SizeOf(entry.path());
    }
    return -1;
  }
  std::filesystem::path Cached(const std::string& sha, const std::string& suffix = "") const {
    return agent_state("a") / "artifacts" / (sha + suffix);
  }
  Args WithModel(const std::string& name) const {
    return {"--wait", "--set", absl::StrCat("model=", name)};
  }
  static std::string Experiment() {
    return CommandExperiment("use", "test -s {model.path}", "[1]", "repetitions: 1\nwarmup: 0\n");
  }
};

TEST_F(ArtifactTest, APushKilledInTheMiddleGoesOnWhereItStopped) {
  StartController();
  const std::string file = MakeModel("big", 16, 'p');
  const std::int64_t size = SizeOf(file);
  StallingProxy proxy(address());
  proxy.HoldAfter(Direction::kToServer, 6 * kMib);
  const auto push = StartCli({"--controller", proxy.address(), "artifact", "push", file});
  ASSERT_TRUE(Eventually([&] { return Kept() > 4 * kMib; }));
  push->Kill9();
  // Once more, and this time the controller goes in the middle, too.
  controller().Kill9();
  const std::int64_t there = Kept();
  ASSERT_LT(there, size);
  StartController();
  const Ended again = RunCli({"artifact", "push", file});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("(went on at "));
  EXPECT_EQ(SizeOf(Stored(Sha("big"))), size);
  EXPECT_EQ(Kept(), -1);
  const Ended got = RunCli({"artifact", "get", "big", "--download", (dir() / "copy").string()});
  EXPECT_EQ(got.code, 0) << got.err;
  EXPECT_EQ(ReadFile(dir() / "copy"), ReadFile(file));
}

TEST_F(ArtifactTest, ACommandThatLosesItsControllerGoesOnByItself) {
  StartController();
  const std::string file = MakeModel("big", 16, 'q');
  StallingProxy proxy(address());
  proxy.HoldAfter(Direction::kToServer, 6 * kMib);
  const auto push = StartCli({"--controller", proxy.address(), "artifact", "push", file});
  ASSERT_TRUE(Eventually([&] { return Kept() > 4 * kMib; }));
  controller().Kill9();
  proxy.Cut();
  proxy.LetGo();
  StartController();
  const Ended ended = push->Finish();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("the push goes on when it is back"));
  EXPECT_LT(proxy.to_server(), SizeOf(file) + 4 * kMib);
}

TEST_F(ArtifactTest, AFetchGoesOnAfterTheAgentOrTheControllerIsKilled) {
  StartController();
  const std::string file = MakeModel("big", 24, 'f');
  ASSERT_EQ(RunCli({"artifact", "push", file}).code, 0);
  const std::string sha = Sha("big");
  const std::int64_t size = SizeOf(file);
  StallingProxy proxy(address());
  const Args dial{"--controller", proxy.address()};
  StartAgentAndWait("a", {}, dial);
  proxy.HoldAfter(Direction::kToClient, 8 * kMib);
  const auto submit = StartSubmit(Experiment(), WithModel("big"));
  ASSERT_TRUE(Eventually([&] { return SizeOf(Cached(sha, ".part")) > 6 * kMib; }));

  agent("a").Kill9();
  const std::int64_t first = SizeOf(Cached(sha, ".part"));
  ASSERT_LT(first, size);
  proxy.Cut();
  proxy.LetGo();
  proxy.HoldAfter(Direction::kToClient, 8 * kMib);
  StartAgent("a", {}, dial);
  ASSERT_TRUE(Eventually([&] { return SizeOf(Cached(sha, ".part")) > first + 6 * kMib; }));

  controller().Kill9();
  proxy.Cut();
  proxy.LetGo();
  StartController();
  const Ended ended = submit->Finish();
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  EXPECT_EQ(ReadFile(Cached(sha)), ReadFile(file));
  // Had it begun anew even once, more than 30 MiB would have gone through.
  EXPECT_LT(proxy.to_client(), size + 3 * kMib);
}

TEST_F(ArtifactTest, ASecondJobTransfersNothing) {
  StartController();
  const std::string file = MakeModel("big", 8, 's');
  ASSERT_EQ(RunCli({"artifact", "push", file}).code, 0);
  StallingProxy proxy(address());
  StartAgentAndWait("a", {}, {"--controller", proxy.address()});
  ASSERT_EQ(Submit(Experiment(), WithModel("big")).code, 0);
  const std::int64_t once = proxy.to_client();
  EXPECT_GT(once, SizeOf(file));
  ASSERT_EQ(Submit(Experiment(), WithModel("big")).code, 0);
  EXPECT_LT(proxy.to_client() - once, kSlack);
  EXPECT_THAT(RunCli({"job", "logs", "job-1"}).out,
              HasSubstr(absl::StrCat("model big: ", SizeOf(file), " bytes transferred")));
  EXPECT_THAT(RunCli({"job", "logs", "job-2"}).out,
              HasSubstr("model big: 0 bytes transferred, it was here"));
}

TEST_F(ArtifactTest, FlippedBytesAreFoundOnBothSides) {
  StartController();
  const std::string file = MakeModel("big", 2, 'x');
  ASSERT_EQ(RunCli({"artifact", "push", file}).code, 0);
  const std::string sha = Sha("big");
  const auto flip = [](const std::filesystem::path& path) {
    std::fstream bytes(path, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(kMib);
    bytes.put('!');
  };
  StartAgentAndWait("a");
  ASSERT_EQ(Submit(Experiment(), WithModel("big")).code, 0);
  // In the agent's cache: fetched again.
  flip(Cached(sha));
  ASSERT_EQ(Submit(Experiment(), WithModel("big")).code, 0);
  EXPECT_EQ(ReadFile(Cached(sha)), ReadFile(file));
  // And at the controller: refused, with what to do; doing that mends it.
  flip(Stored(sha));
  flip(Cached(sha));
  const Ended failed = Submit(Experiment(), WithModel("big"));
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(RunCli({"job", "get", "job-3"}).out, HasSubstr("push the file again"));
  ASSERT_EQ(RunCli({"artifact", "push", file}).code, 0);
  EXPECT_EQ(Submit(Experiment(), WithModel("big")).code, 0);
  EXPECT_EQ(ReadFile(Cached(sha)), ReadFile(file));
}

TEST_F(ArtifactTest, SeveralAgentsFetchAtOnceInLittleMemory) {
  StartController();
  const std::string file = MakeModel("big", 96, 'm');
  ASSERT_EQ(RunCli({"artifact", "push", file}).code, 0);
  StallingProxy proxy(address());
  for (const char* id : {"a", "b", "c", "d"})
    StartAgentAndWait(id, {}, {"--controller", proxy.address()});
  const auto resident_kib = [this] {
    const std::string status = ReadFile(absl::StrCat("/proc/", controller().pid(), "/status"));
    const std::size_t at = status.find("VmHWM:");
    std::int64_t kib = 0;
    EXPECT_TRUE(absl::SimpleAtoi(status.substr(at + 6, status.find(" kB", at) - at - 6), &kib));
    return kib;
  };
  // From now on the peak counts anew; the push had its own.
  WriteFile(absl::StrCat("/proc/", controller().pid(), "/clear_refs"), "5");
  const std::int64_t before = resident_kib();
  // Readers that stand still in the middle: what is read ahead for them would be in memory.
  proxy.HoldAfter(Direction::kToClient, 40 * kMib);
  const auto submit = StartSubmit(Experiment(), WithModel("big"));
  ASSERT_TRUE(Eventually([&] { return proxy.to_client() >= 40 * kMib; }));
  proxy.LetGo();
  const Ended ended = submit->Finish();
  EXPECT_EQ(ended.code, 0) << ended.out << ended.err;
  const std::int64_t grown_kib = resident_kib() - before;
  RecordProperty("controller_before_kib", static_cast<int>(before));
  RecordProperty("controller_grown_kib", static_cast<int>(grown_kib));
  EXPECT_LT(grown_kib, 48 * 1024) << "four fetches of 96 MiB grew the controller by so many KiB";
}

TEST_F(ArtifactTest, CollectingLeavesWhatJobsNeedAndTakesTheRest) {
  StartController();
  const std::string one = MakeModel("one", 1, '1');
  const std::string two = MakeModel("two", 1, '2');
  ASSERT_EQ(RunCli({"artifact", "push", one, "--name", "m"}).code, 0);
  const std::string first = Sha("m");
  // No device yet would be an error: one that is offline keeps the job waiting.
  StartAgentAndWait("a");
  agent("a").Signal(SIGTERM);
  ASSERT_TRUE(agent("a").Wait().has_value());
  ASSERT_TRUE(Eventually([this] { return Value("select link from device") != "ONLINE"; }));
  ASSERT_EQ(Submit(Experiment(), {"--set", "model=m"}).code, 0);
  ASSERT_EQ(RunCli({"artifact", "push", two, "--name", "m"}).code, 0);
  EXPECT_THAT(RunCli({"artifact", "gc"}).out, HasSubstr("Nothing to collect"));
  StartAgent("a");
  ASSERT_TRUE(Eventually([this] { return Value("select state from job") == "SUCCEEDED"; }));
  EXPECT_THAT(RunCli({"artifact", "gc", "--dry-run"}).out, HasSubstr(first.substr(0, 12)));
  EXPECT_EQ(SizeOf(Stored(first)), SizeOf(one));
  EXPECT_EQ(RunCli({"artifact", "gc"}).code, 0);
  EXPECT_EQ(SizeOf(Stored(first)), -1);
  EXPECT_EQ(Value("select count(*) from artifact"), "1");
  EXPECT_THAT(Value("select text from farm_event where kind = 'artifact'"), HasSubstr(first));
}

TEST_F(ArtifactTest, TheQuotaThrowsOutWhatWasUsedLongestAgo) {
  StartController();
  for (const char* name : {"one", "two", "big"}) {
    const std::string file = MakeModel(name, name == std::string("big") ? 9 : 2, name[0]);
    ASSERT_EQ(RunCli({"artifact", "push", file}).code, 0);
  }
  const std::int64_t each = SizeOf(Stored(Sha("one")));
  WriteFile(dir() / "agent.yaml", absl::StrCat("artifact_max_bytes: ", each + each / 2, "\n"));
  StartAgentAndWait("a", {}, {"--config", (dir() / "agent.yaml").string()});
  ASSERT_EQ(Submit(Experiment(), WithModel("one")).code, 0);
  ASSERT_EQ(Submit(Experiment(), WithModel("two")).code, 0);
  EXPECT_EQ(SizeOf(Cached(Sha("one"))), -1);
  EXPECT_EQ(SizeOf(Cached(Sha("two"))), each);
  const Ended big = Submit(Experiment(), WithModel("big"));
  EXPECT_EQ(big.code, 1);
  EXPECT_THAT(RunCli({"job", "get", "job-3"}).out, HasSubstr("raise artifact_max_bytes"));
}

}  // namespace
}  // namespace joulefarm::e2e
