// The engine openai of kind generate in an experiment file.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/experiment/expanded.h"

namespace joulefarm {
namespace {

using testing::ElementsAre;

std::string ErrorOf(absl::string_view workload, absl::string_view rest = "") {
  return RefusalOf(absl::StrCat("name: e\nworkloads:\n  chat: ", workload, "\n", rest));
}

TEST(OpenAi, ARunningServerNeedsNoModel) {
  const Expansion e = Expanded(
      "name: e\nworkloads:\n  chat: {kind: generate, engine: openai, max_tokens: 8, prompts: "
      "[{text: hi}], options: {url: \"http://10.0.0.7:8000/v1\", api_model: m}}\n");
  ASSERT_EQ(e.cells.size(), 1u);
  EXPECT_FALSE(e.cells[0].spec.has_model());
  // Nothing of llama.cpp's defaults: another server may refuse what it does not know.
  EXPECT_EQ(e.cells[0].spec.generate().ShortDebugString(),
            "engine: \"openai\" prompts { text: \"hi\" } max_tokens: 8 temperature: 0 url: "
            "\"http://10.0.0.7:8000/v1\" api_model: \"m\"");
}

TEST(OpenAi, AServerIsStartedWithFactorsInItsArguments) {
  const Expansion e = Expanded(
      "name: e\nmodel: tiny-q8_0\nworkloads:\n  chat:\n    kind: generate\n    engine: openai\n"
      "    server: [srv, -m, \"{model.path}\", --port, \"{port}\", -t, \"{threads}\", "
      "\"{model.name}\"]\n    options: {top_k: 1, ignore_eos: true}\nmatrix:\n  threads: [2]\n");
  ASSERT_EQ(e.cells.size(), 1u);
  const v1::GenerateSpec& spec = e.cells[0].spec.generate();
  EXPECT_THAT(spec.server(),
              ElementsAre("srv", "-m", "{model.path}", "--port", "{port}", "-t", "2", "tiny-q8_0"));
  EXPECT_EQ(spec.url(), "http://127.0.0.1:{port}/v1");
  EXPECT_FALSE(spec.has_threads());  // the arguments have it
  EXPECT_FALSE(spec.has_ctx());
  EXPECT_TRUE(spec.ignore_eos());
}

TEST(OpenAi, EnginesCanBeCompared) {
  const Expansion e = Expanded(
      "name: e\nmodel: tiny-q8_0\nworkloads: {chat: {kind: generate}, other: {kind: generate, "
      "engine: openai, options: {url: \"http://h:1/v1\"}}}\n");
  ASSERT_EQ(e.cells.size(), 2u);
  EXPECT_EQ(e.cells[0].spec.generate().ctx(), 2048);
  EXPECT_FALSE(e.cells[1].spec.generate().has_ctx());
}

TEST(OpenAi, ErrorsSayWhatToWrite) {
  EXPECT_EQ(ErrorOf("{kind: generate, engine: openai}"),
            "exp.yaml:3:34: engine openai needs options.url, the address of a server that runs "
            "(http://HOST:PORT/v1), or server, a command that starts one");
  EXPECT_EQ(ErrorOf("{kind: generate, engine: openai, options: {url: \"https://h/v1\"}}"),
            "exp.yaml:3:57: https is not spoken to engines; found \"https://h/v1\"; use http, "
            "through a local proxy where the server needs TLS");
  EXPECT_EQ(ErrorOf("{kind: generate, engine: openai, options: {url: \"h:80/v1\"}}"),
            "exp.yaml:3:57: url must be like http://HOST:PORT/v1; found \"h:80/v1\"");
  EXPECT_EQ(
      ErrorOf("{kind: generate, engine: openai, options: {url: \"http://127.0.0.1:{port}/v1\"}}"),
      "exp.yaml:3:57: url contains {port}, which stands for the port of a server the agent starts; "
      "write server, or the port itself");
  EXPECT_EQ(ErrorOf("{kind: generate, engine: openai, server: [srv]}"),
            "exp.yaml:3:50: no argument of server contains {port}, so it would not listen where it "
            "is looked for; add it, or write options.url");
  EXPECT_EQ(ErrorOf("{kind: generate, engine: openai, server: []}"),
            "exp.yaml:3:50: workload \"chat\" has no program to run; write server: [program, "
            "argument, …]");
  EXPECT_EQ(
      ErrorOf("{kind: generate, engine: openai, threads: 2, options: {url: \"http://h/v1\"}}"),
      "exp.yaml:3:51: threads is decided by the server when engine is openai; write it into the "
      "arguments of server, as {threads} where it is in the matrix");
  EXPECT_EQ(ErrorOf("{kind: generate, engine: openai, options: {url: \"http://h/v1\"}}",
                    "matrix: {ctx: [64]}\n"),
            "exp.yaml:3:3: cell ctx=64: ctx is decided by the server when engine is openai; write "
            "it into the arguments of server, as {ctx} where it is in the matrix");
  EXPECT_EQ(ErrorOf("{kind: generate, options: {url: \"http://h/v1\"}}", "model: tiny-q8_0\n"),
            "exp.yaml:3:41: url means nothing to engine llama.cpp, which the agent starts itself; "
            "write engine: openai");
  EXPECT_EQ(
      ErrorOf("{kind: generate, engine: openai, server: [srv, \"{model.path}\", \"{port}\"]}"),
      "exp.yaml:3:50: the server uses {model.path} and there is no model; write model: NAME, "
      "or list models in the matrix");
}

}  // namespace
}  // namespace joulefarm
