// The engine openai of the workload `generate`, against a real child process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "agent/process/boottime.h"
#include "agent/process/child_process.h"
#include "agent/workload/generate.h"
#include "agent/workload/http.h"
#include "agent/workload/tcp.h"
#include "tests/agent/workload/workload_fixture.h"

namespace joulefarm::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::int64_t kSecond = 1'000'000'000;

class OpenAiTest : public WorkloadTest {
 protected:
  OpenAiTest() {
    v1::GenerateSpec& generate = *spec_.mutable_generate();
    generate.set_engine("openai");
    generate.set_max_tokens(10);
    generate.set_temperature(0);
    generate.add_prompts()->set_text("hello");
    setenv("FAKE_LLAMA_STATE", dir_.c_str(), 1);
  }

  v1::GenerateSpec& generate() { return *spec_.mutable_generate(); }
  void Started(const std::string& path = "/v1") {
    for (const char* argument : {FAKE_LLAMA_SERVER, "-m", "{model.path}", "--port", "{port}"})
      generate().add_server(argument);
    generate().set_url("http://127.0.0.1:{port}" + path);
    spec_.mutable_model()->set_name("tiny");
    GiveModel();
  }
  WorkloadOutcome Run(const char* mode, GenerateLimits limits = {}) {
    setenv("FAKE_LLAMA_MODE", mode, 1);
    return GenerateWorkload(limits).Run(context_);
  }
  void ExpectFailure(const char* mode, v1::FailureClass failure_class, const std::string& text) {
    ExpectFailed(Run(mode), failure_class, text);
  }
  nlohmann::json LastRequest() const {
    std::ifstream file(dir_ / "request.json");
    return nlohmann::json::parse(file);
  }
};

TEST_F(OpenAiTest, StartsAServerAndCountsByUsage) {
  Started();
  const WorkloadOutcome outcome = Run("normal");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  const auto requests = recorder_.requests();
  ASSERT_THAT(requests, SizeIs(3));
  const v1::RequestDone& request = requests[1];
  EXPECT_EQ(request.n_prompt(), 5);
  EXPECT_EQ(request.n_evaluated(), 5);
  EXPECT_EQ(request.n_cached(), 0);
  EXPECT_EQ(request.n_gen(), 10);
  EXPECT_EQ(request.stop(), "limit");
  EXPECT_FALSE(request.has_idx_first());
  EXPECT_FALSE(request.has_idx_last());
  EXPECT_FALSE(request.has_prompt_ms());
  EXPECT_LT(request.t_req_ns(), request.t_first_ns());
  EXPECT_LE(request.t_first_ns(), request.t_last_ns());
  EXPECT_TRUE(recorder_.tokens.empty()) << "arrivals without an index are no tokens";
  EXPECT_FALSE(recorder_.runs()[0].has_output_sha256()) << "there are no token ids";
  const v1::AttemptFacts facts = recorder_.facts().back();
  EXPECT_EQ(facts.engine(), "openai");
  EXPECT_FALSE(facts.has_engine_version());
  EXPECT_GT(facts.load_ms(), 0);
  EXPECT_THAT(facts.engine_argv(), Contains((dir_ / "model.gguf").string()));
}

TEST_F(OpenAiTest, SendsOnlyWhatWasAskedFor) {
  Started();
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(LastRequest().dump(),
            R"({"max_tokens":10,"model":"tiny","prompt":"hello","stream":true,)"
            R"("stream_options":{"include_usage":true},"temperature":0.0})");
  generate().set_api_model("other");
  generate().set_top_k(1);
  generate().set_top_p(0.5);
  generate().set_seed(7);
  generate().set_ignore_eos(true);
  ASSERT_EQ(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  const nlohmann::json request = LastRequest();
  EXPECT_EQ(request["model"], "other");
  EXPECT_EQ(request["top_k"], 1);
  EXPECT_EQ(request["top_p"], 0.5);
  EXPECT_EQ(request["seed"], 7);
  EXPECT_EQ(request["ignore_eos"], true);
}

TEST_F(OpenAiTest, TheRoleOfAChatIsNoToken) {
  Started("/v1/chat/completions");
  const WorkloadOutcome outcome = Run("slow");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  EXPECT_EQ(LastRequest()["messages"].dump(), R"([{"content":"hello","role":"user"}])");
  const v1::RequestDone request = recorder_.requests()[0];
  // The role comes 200 ms before the first text.
  EXPECT_GE(request.t_first_ns() - request.t_req_ns(), 200'000'000);
}

TEST_F(OpenAiTest, WithoutUsageThereAreNoCounts) {
  Started();
  ASSERT_EQ(Run("no_usage").outcome, v1::OUTCOME_SUCCEEDED);
  const v1::RequestDone request = recorder_.requests()[0];
  EXPECT_FALSE(request.has_n_prompt());
  EXPECT_FALSE(request.has_n_gen());
  EXPECT_FALSE(request.has_n_evaluated());
  EXPECT_TRUE(request.has_t_first_ns());
}

TEST_F(OpenAiTest, CachedTokensAreTold) {
  Started();
  ASSERT_EQ(Run("cached").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(recorder_.requests()[0].n_cached(), 2);
  EXPECT_EQ(recorder_.requests()[0].n_evaluated(), 3);
}

TEST_F(OpenAiTest, ServersWithoutTheLastLineOrTheListingAreFine) {
  Started();
  EXPECT_EQ(Run("no_done").outcome, v1::OUTCOME_SUCCEEDED);
  EXPECT_EQ(Run("no_models").outcome, v1::OUTCOME_SUCCEEDED);
}

TEST_F(OpenAiTest, Failures) {
  Started();
  ExpectFailure("crash_at_load", v1::FAILURE_CLASS_USER, "ended while loading the model: exit");
  ExpectFailure("crash_mid", v1::FAILURE_CLASS_USER, "killed by signal 11");
  ExpectFailure("oom_mid", v1::FAILURE_CLASS_OOM, "ran out of memory");
  ExpectFailure("garbage_sse", v1::FAILURE_CLASS_USER, "not a JSON object");
  ExpectFailure("not_sse", v1::FAILURE_CLASS_USER, "not a server-sent event");
  ExpectFailure("truncated", v1::FAILURE_CLASS_USER, "the connection was closed before the last");
  ExpectFailure("error_event", v1::FAILURE_CLASS_USER, "decode failed");
  ExpectFailure("no_tokens", v1::FAILURE_CLASS_USER, "without any text");
  ExpectFailure("flood", v1::FAILURE_CLASS_USER, "more than 1160 events carry text");
  EXPECT_TRUE(recorder_.runs().empty());
  generate().set_server(0, "/does/not/exist");
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA, "could not be started");
}

TEST_F(OpenAiTest, AServerIsLookedForWhereEnginesAre) {
  Started();
  const std::filesystem::path fake(FAKE_LLAMA_SERVER);
  generate().set_server(0, fake.filename().string());
  context_.engine_dirs = {dir_ / "none", fake.parent_path()};
  const WorkloadOutcome outcome = Run("normal");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  EXPECT_EQ(recorder_.facts().back().engine_argv(0), fake.string()) << "which one it was";
  context_.engine_dirs = {dir_ / "none"};
  context_.engine_search = "engine_dirs (/a) and PATH (/b)";
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA,
                absl::StrCat("program '", generate().server(0),
                             "' is not in engine_dirs (/a) and PATH (/b); install it on this "
                             "device, write its whole path in server"));
  EXPECT_EQ(recorder_.facts().back().engine_argv(0), generate().server(0));
}

TEST_F(OpenAiTest, AFixedPortIsTakenAsItStands) {
  const auto port = ReservedPort::Reserve();
  ASSERT_TRUE(port.ok());
  Started();
  generate().set_server(4, absl::StrCat(port->port()));
  generate().set_url(absl::StrCat("http://127.0.0.1:", port->port(), "/v1"));
  const WorkloadOutcome outcome = Run("normal");
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  // Somebody was faster.
  journal_.all.clear();
  const std::string in_use = absl::StrCat(
      "127.0.0.1:", port->port(), " is already in use; stop what listens there or use {port}");
  ExpectFailure("port_taken", v1::FAILURE_CLASS_INFRA, in_use);
  EXPECT_THAT(journal_.all, SizeIs(1)) << "the port stays the same";
}

TEST_F(OpenAiTest, WhoListensAtAFixedPortAlreadyIsNotMeasured) {
  const auto port = ReservedPort::Reserve();
  ASSERT_TRUE(port.ok());
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const Endpoint endpoint = LoopbackEndpoint(port->port());
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length),
            0);
  ASSERT_EQ(listen(listener, 1), 0);
  Started();
  generate().set_url(absl::StrCat("http://127.0.0.1:", port->port(), "/v1"));
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA, "is already in use; stop what listens there");
  EXPECT_TRUE(journal_.all.empty()) << "a server was started";
  close(listener);
}

TEST_F(OpenAiTest, AServerThatEndedIsNotMeasuredBySomebodyElsesAnswers) {
  Started();
  ExpectFailure("hands_over", v1::FAILURE_CLASS_USER, "ended in run 1 of 3 (warm-up)");
  EXPECT_TRUE(recorder_.runs().empty());
}

TEST_F(OpenAiTest, TheEnergyOfThisHostIsNotThatOfAServerElsewhere) {
  generate().set_url("http://192.0.2.1:9/v1");  // for documentation: nobody's address
  std::thread canceller([this] {
    recorder_.WaitUntil([this] { return !recorder_.reasons().empty(); });
    stop_.request_stop();
  });
  EXPECT_NE(Run("normal").outcome, v1::OUTCOME_SUCCEEDED);
  canceller.join();
  const auto reasons = recorder_.reasons();
  ASSERT_THAT(reasons, SizeIs(1));
  EXPECT_EQ(reasons[0].code(), "engine_elsewhere");
  EXPECT_EQ(reasons[0].domain(), v1::DOMAIN_ENERGY);
  EXPECT_EQ(reasons[0].quality(), v1::QUALITY_INVALID);
  EXPECT_EQ(reasons[0].detail(), "192.0.2.1:9");
  EXPECT_FALSE(reasons[0].has_run());
}

TEST_F(OpenAiTest, AHangIsATimeOut) {
  Started();
  const WorkloadOutcome outcome =
      Run("hang_mid", {.stall_ns = 100'000'000, .stall_per_prompt_byte_ns = 0});
  EXPECT_EQ(outcome.outcome, v1::OUTCOME_TIMED_OUT);
  EXPECT_THAT(outcome.reason, HasSubstr("no more tokens came"));
}

TEST_F(OpenAiTest, UsesAServerThatRunsAlready) {
  setenv("FAKE_LLAMA_MODE", "normal", 1);
  const auto port = ReservedPort::Reserve();
  ASSERT_TRUE(port.ok());
  ProcessOptions options;
  options.argv = {FAKE_LLAMA_SERVER, "--port", absl::StrCat(port->port())};
  const auto server = ChildProcess::Start(std::move(options), nullptr);
  ASSERT_TRUE(server.ok()) << server.status();
  generate().set_url(absl::StrCat("http://localhost:", port->port(), "/v1/"));
  spec_.set_power(v1::POWER_REQUIRE_OPTIONAL);
  spec_.mutable_plan()->set_idle_ns(1'000'000);
  const WorkloadOutcome outcome = Run("normal");
  ASSERT_EQ(outcome.outcome, v1::OUTCOME_SUCCEEDED) << outcome.reason;
  EXPECT_THAT(recorder_.runs(), SizeIs(3));
  EXPECT_EQ(LastRequest()["model"], "the-one") << "the only one the server lists";
  EXPECT_EQ(engine_changes_, 0) << "it is not ours to sample";
  EXPECT_FALSE(recorder_.facts().back().has_load_ms());
  EXPECT_FALSE(recorder_.facts().back().has_background_cpu()) << "it is part of that itself";
  for (const v1::PhaseDone& phase : recorder_.phases())
    EXPECT_NE(phase.phase(), v1::PHASE_IDLE_UNLOADED);
  EXPECT_TRUE(recorder_.reasons().empty()) << "it is on this host";
  EXPECT_EQ((*server)->exit_status(), std::nullopt) << "it is not ours to stop";
}

TEST_F(OpenAiTest, AServerThatCannotBeFoundIsTheFarmsFault) {
  generate().set_url("http://no-such-host.invalid/v1");
  ExpectFailure("normal", v1::FAILURE_CLASS_INFRA, "cannot find no-such-host.invalid");
  generate().set_url("https://h/v1");
  ExpectFailure("normal", v1::FAILURE_CLASS_USER, "is not an address with http");
}

TEST_F(OpenAiTest, ACancelEndsTheWaitForAServer) {
  const auto port = ReservedPort::Reserve();  // nobody listens there
  ASSERT_TRUE(port.ok());
  generate().set_url(absl::StrCat("http://127.0.0.1:", port->port(), "/v1"));
  context_.on_state = [this](v1::AttemptState, const std::string& text) {
    if (text.starts_with("asking")) stop_.request_stop();
  };
  const std::int64_t start_ns = BoottimeNs();
  EXPECT_EQ(Run("normal").outcome, v1::OUTCOME_CANCELED);
  EXPECT_LT(BoottimeNs() - start_ns, 9 * kSecond);
}

TEST(ParseHttpUrl, TakesApartWhatItKnows) {
  const auto url = ParseHttpUrl("http://10.0.0.7:8000/v1/");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->host, "10.0.0.7");
  EXPECT_EQ(url->port, 8000);
  EXPECT_EQ(url->path, "/v1");
  EXPECT_EQ(ParseHttpUrl("http://h")->port, 80);
  EXPECT_EQ(ParseHttpUrl("http://[::1]:81/v1")->host, "::1");
  EXPECT_EQ(ParseHttpUrl("http://[::1]:81/v1")->port, 81);
}

TEST(ParseHttpUrl, RefusesTheRest) {
  for (const char* url :
       {"", "h/v1", "https://h/v1", "http://", "http:///v1", "http://h:0/", "http://h:99999/",
        "http://h:x/", "http://u@h/", "http://h/v1?a=b", "http://[::1/v1", "http://h:{port}/v1"}) {
    EXPECT_FALSE(ParseHttpUrl(url).ok()) << url;
  }
}

}  // namespace
}  // namespace joulefarm::agent
