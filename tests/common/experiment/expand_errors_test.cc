// What an operator reads when an experiment cannot be: every text in full, with its place.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/experiment/expand.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/experiment/fake_catalogue.h"

namespace joulefarm {
namespace {

absl::Status StatusOf(absl::string_view text, const std::vector<std::string>& set = {}) {
  const auto expansion = ExpandYaml(text, "exp.yaml", set, FakeCatalogue());
  EXPECT_FALSE(expansion.ok()) << text;
  return expansion.status();
}

// The error text, which must be InvalidArgument.
std::string ErrorOf(absl::string_view text, const std::vector<std::string>& set = {}) {
  const absl::Status status = StatusOf(text, set);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

struct BadCase {
  const char* label;
  const char* text;  // follows kHead, so its first line is line 4
  const char* error;
};

void PrintTo(const BadCase& bad, std::ostream* out) { *out << bad.label; }

constexpr char kHead[] =
    "name: e\n"
    "model: tiny-q8_0\n"
    "workloads: {chat: {kind: generate, max_tokens: 8, options: {ctx: 512}}}\n";

class ExpandRefuses : public testing::TestWithParam<BadCase> {};

TEST_P(ExpandRefuses, WithItsPlaceAndAdvice) {
  EXPECT_EQ(ErrorOf(absl::StrCat(kHead, GetParam().text)), GetParam().error);
}

const BadCase kMatrixCases[] = {
    {"EmptyMatrix", "matrix: {}\n",
     "exp.yaml:4:9: the matrix is empty; give it a key with a list of values, or remove it"},
    {"EmptyAxis", "matrix: {threads: [1], top_k: []}\n",
     "exp.yaml:4:31: top_k has no values; list at least one, or remove the key"},
    {"DuplicateValue", "matrix: {threads: [1, 2, 0x1]}\n",
     "exp.yaml:4:26: duplicate value \"1\" of threads; list it once"},
    {"DuplicateReal", "matrix: {temperature: [0.5, 5e-1]}\n",
     "exp.yaml:4:29: duplicate value \"0.5\" of temperature; list it once"},
    {"ModelInBothPlaces", "matrix: {model: [tiny-f16]}\n",
     "exp.yaml:4:10: model is in the matrix and set at exp.yaml:2:1; keep one of them"},
    {"FieldInBothPlaces", "matrix: {max_tokens: [1]}\n",
     "exp.yaml:4:10: max_tokens is in the matrix and set at exp.yaml:3:36; keep one of them"},
    {"OptionInBothPlaces", "matrix: {ctx: [1]}\n",
     "exp.yaml:4:10: ctx is in the matrix and set at exp.yaml:3:61; keep one of them"},
    {"MistypedKey", "matrix: {thread: [1]}\n",
     "exp.yaml:4:10: matrix key \"thread\" means nothing to workload \"chat\" of kind generate; "
     "did "
     "you mean \"threads\"?"},
    {"UnknownKey", "matrix: {colour: [red]}\n",
     "exp.yaml:4:10: matrix key \"colour\" means nothing to workload \"chat\" of kind generate; "
     "keys are: workload, model, engine, max_tokens, threads, temperature, top_k, top_p, ctx, "
     "ignore_eos, seed, batch, ubatch, gpu_layers, flash_attn, cache_type_k, cache_type_v, "
     "url, api_model"},
    {"KeyOfTheExperiment", "matrix: {repetitions: [1]}\n",
     "exp.yaml:4:10: matrix key \"repetitions\" is the same for the whole experiment; write it at "
     "the top level"},
    {"KeyThatCannotVary", "matrix: {prompts: [a]}\n",
     "exp.yaml:4:10: matrix key \"prompts\" cannot vary; write several workloads instead"},
    {"WrongType", "matrix: {threads: [1, two]}\n",
     "exp.yaml:4:23: threads must be a whole number; found the text \"two\""},
    {"QuotedNumber", "matrix: {threads: ['1']}\n",
     "exp.yaml:4:20: threads must be a whole number; found the text \"1\": remove the quotes"},
    {"OutOfRange", "matrix: {threads: [0]}\n",
     "exp.yaml:4:20: threads must be at least 1 and at most 1024; found 0"},
    {"UnknownWorkload", "matrix: {workload: [chta]}\n",
     "exp.yaml:4:21: unknown workload \"chta\"; did you mean \"chat\"?"},
    {"WrongChoice", "matrix: {engine: [llama.cpp, openapi]}\n",
     "exp.yaml:4:30: engine must be one of llama.cpp, openai; found the text \"openapi\"; did you "
     "mean \"openai\"?"},
    {"UnknownExcludeKey", "matrix: {threads: [1]}\nexclude: [{thread: 1}]\n",
     "exp.yaml:5:12: exclude names \"thread\", which is not in the matrix; did you mean "
     "\"threads\"?"},
    {"ExcludeOfTheFixedModel", "matrix: {threads: [1]}\nexclude: [{model: tiny-q8_0}]\n",
     "exp.yaml:5:12: exclude names \"model\", which is not in the matrix; its keys are: workload, "
     "threads"},
    {"UnknownExcludeValue", "matrix: {threads: [1, 2]}\nexclude: [{threads: 3}]\n",
     "exp.yaml:5:21: exclude names threads \"3\", which is not in the matrix; its values are: 1, "
     "2"},
    {"MistypedExcludeValue", "matrix: {threads: [8, 16]}\nexclude:\n  - {threads: 116}\n",
     "exp.yaml:6:15: exclude names threads \"116\", which is not in the matrix; did you mean "
     "\"16\"?"},
    {"MistypedExcludeChoice", "matrix: {flash_attn: [on, auto]}\nexclude: [{flash_attn: atuo}]\n",
     "exp.yaml:5:24: flash_attn must be one of on, off, auto; found the text \"atuo\"; did you "
     "mean \"auto\"?"},
    {"ExcludeOfAnotherType", "matrix: {threads: [1]}\nexclude: [{threads: \"1\"}]\n",
     "exp.yaml:5:21: threads must be a whole number; found the text \"1\": remove the quotes"},
    {"EmptyExclude", "matrix: {threads: [1]}\nexclude: [{}]\n",
     "exp.yaml:5:11: an empty exclusion would leave no cell; name keys and values, or remove it"},
    {"NoCellLeft", "matrix: {threads: [1, 2]}\nexclude: [{threads: 1}, {threads: 2}]\n",
     "exp.yaml:5:1: every cell of the matrix is excluded; remove an exclusion"},
    {"NoCellLeftWithoutMatrix", "exclude: [{workload: chat}]\n",
     "exp.yaml:4:1: every cell of the matrix is excluded; remove an exclusion"},
};
INSTANTIATE_TEST_SUITE_P(Matrix, ExpandRefuses, testing::ValuesIn(kMatrixCases),
                         [](const auto& bad) { return bad.param.label; });

const BadCase kTopLevelCases[] = {
    {"Repetitions", "repetitions: 10001\n",
     "exp.yaml:4:14: repetitions must be at least 1 and at most 10000; found 10001"},
    {"Warmup", "warmup: -1\n",
     "exp.yaml:4:9: warmup must be at least 0 and at most 10000; found -1"},
    {"Blocks", "blocks: 0\n", "exp.yaml:4:9: blocks must be at least 1 and at most 10000; found 0"},
    {"TooManyJobs",
     "blocks: 10000\nmatrix: {seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], threads: [1, 2, 3, 4, 5, 6, "
     "7, "
     "8, 9, 10, 11]}\n",
     "exp.yaml:4:9: 110 cells × 10000 blocks are 1100000 jobs per device, 1000000 are possible; "
     "use "
     "fewer blocks"},
    {"Duration", "limits: {run: -1s}\n",
     "exp.yaml:4:15: run: \"-1s\" is not a duration: it is negative; write it like 250ms, 30s, "
     "10m, 24h or 1h30m"},
    {"LimitOfNothing", "limits: {queue: 0s}\n",
     "exp.yaml:4:17: queue must be at least 0.001s; found the text \"0s\""},
    {"Count", "devices: {count: some}\n",
     "exp.yaml:4:18: count must be all, or a number from 1 to 1000000; found \"some\""},
    {"CountOfNone", "devices: {count: 0}\n",
     "exp.yaml:4:18: count must be all, or a number from 1 to 1000000; found \"0\""},
    {"Selector", "devices: {selector: \"os=linux, ram_mib>lots\"}\n",
     "exp.yaml:4:21: selector: at character 19: \"lots\" is not a number; texts compare with = and "
     "!= only"},
    {"Tenant", "tenant: \"a b\"\n",
     "exp.yaml:4:9: tenant \"a b\" is not usable; begin with a letter or digit and use up to 128 "
     "letters, digits, \"_\", \"-\" and \".\""},
    {"Priority", "priority: 3\n",
     "exp.yaml:4:11: priority must be one of urgent, high, normal, low, background; found 3"},
};
INSTANTIATE_TEST_SUITE_P(TopLevel, ExpandRefuses, testing::ValuesIn(kTopLevelCases),
                         [](const auto& bad) { return bad.param.label; });

struct WorkloadCase {
  const char* label;
  const char* workload;  // in line 4, column 8
  const char* error;
};

void PrintTo(const WorkloadCase& bad, std::ostream* out) { *out << bad.label; }

class ExpandRefusesWorkload : public testing::TestWithParam<WorkloadCase> {};

TEST_P(ExpandRefusesWorkload, WithItsPlaceAndAdvice) {
  EXPECT_EQ(ErrorOf(absl::StrCat(
                "name: e\nmodel: tiny-q8_0\nworkloads:\n  chat: ", GetParam().workload, "\n")),
            GetParam().error);
}

const WorkloadCase kWorkloadCases[] = {
    {"KindOfLater", "{kind: accuracy}",
     "exp.yaml:4:16: workload kind \"accuracy\" is not in this version; kinds are generate, "
     "throughput and command"},
    {"MistypedKind", "{kind: genrate}",
     "exp.yaml:4:16: workload kind \"genrate\" is not in this version; did you mean \"generate\"?"},
    {"NoKind", "{max_tokens: 5}",
     "exp.yaml:4:3: workload \"chat\" needs a kind; write kind: generate, kind: throughput "
     "or kind: command"},
    {"UnknownOption", "{kind: generate, options: {temprature: 1}}",
     "exp.yaml:4:36: unknown option \"temprature\"; did you mean \"temperature\"?"},
    {"FieldAmongOptions", "{kind: generate, options: {threads: 1}}",
     "exp.yaml:4:36: threads is not an option; write it beside options, not in it"},
    {"OptionOutOfRange", "{kind: generate, options: {ctx: 0}}",
     "exp.yaml:4:41: ctx must be at least 1 and at most 10000000; found 0"},
    {"OptionOfWrongType", "{kind: generate, options: {ignore_eos: yes}}",
     "exp.yaml:4:48: ignore_eos must be true or false; found the text \"yes\""},
    {"MaxTokens", "{kind: generate, max_tokens: 0}",
     "exp.yaml:4:38: max_tokens must be at least 1 and at most 1000000; found 0"},
    {"Temperature", "{kind: generate, options: {temperature: -0.1}}",
     "exp.yaml:4:49: temperature must be at least 0 and at most 100; found -0.1"},
    {"Engine", "{kind: generate, engine: vllm}",
     "exp.yaml:4:34: engine must be one of llama.cpp, openai; found the text \"vllm\""},
    {"KeyOfAnotherKind", "{kind: generate, command: [a]}",
     "exp.yaml:4:26: command means nothing to this kind; it takes kind, engine, prompts, "
     "max_tokens, threads, options, server"},
    {"EmptyPrompts", "{kind: generate, prompts: []}",
     "exp.yaml:4:35: prompts is empty; write one, or remove the key for the built-in set "
     "\"short\""},
    {"EmptyPrompt", "{kind: generate, prompts: [{text: \"\"}]}",
     "exp.yaml:4:43: the prompt is empty; write at least one word"},
    {"PromptOfTwoSources", "{kind: generate, prompts: [{text: a, set: short}]}",
     "exp.yaml:4:36: a prompt has exactly one of text, set and artifact; write several prompts as "
     "several elements"},
    {"UnknownPromptSet", "{kind: generate, prompts: [{set: shorts}]}",
     "exp.yaml:4:42: unknown prompt set \"shorts\"; did you mean \"short\"?"},
    {"UnknownPromptArtifact", "{kind: generate, prompts: [{artifact: two-prompt}]}",
     "exp.yaml:4:47: unknown artifact \"two-prompt\"; did you mean \"two-prompts\"? Otherwise "
     "push it with `joulefarm artifact push`"},
    {"BrokenPromptArtifact", "{kind: generate, prompts: [{artifact: broken}]}",
     "exp.yaml:4:47: artifact \"broken\" is not a JSONL file of prompts: line 2 is not JSON; each "
     "line must be like {\"text\": \"a prompt\"}"},
    {"NoCommand", "{kind: command}",
     "exp.yaml:4:3: workload \"chat\" has no program to run; write command: [program, argument, "
     "…]"},
    {"EmptyProgram", "{kind: command, command: [\"\", a]}",
     "exp.yaml:4:34: workload \"chat\" has no program to run; write command: [program, argument, "
     "…]"},
    {"OptionsOfCommand", "{kind: command, command: [a], options: {ctx: 1}}",
     "exp.yaml:4:39: options means nothing to this kind; it takes kind, command"},
};
INSTANTIATE_TEST_SUITE_P(Workloads, ExpandRefusesWorkload, testing::ValuesIn(kWorkloadCases),
                         [](const auto& bad) { return bad.param.label; });

TEST(ExpandErrors, WhatIsMissing) {
  EXPECT_EQ(ErrorOf("seed: 1\n"),
            "exp.yaml:1:1: the experiment has no name; write name: NAME\n"
            "exp.yaml:1:1: there is no workload; write workloads: {NAME: {kind: generate}}");
  EXPECT_EQ(ErrorOf("name: e\nworkloads: {}\n"),
            "exp.yaml:2:12: there is no workload; write workloads: {NAME: {kind: generate}}");
  EXPECT_EQ(ErrorOf("name: \"\"\nworkloads: {w: {kind: command, command: [a]}}\n"),
            "exp.yaml:1:7: name \"\" is not usable; begin with a letter or digit and use up to 128 "
            "letters, digits, \"_\", \"-\" and \".\"");
  EXPECT_EQ(ErrorOf("name: e\nworkloads: {\"a,b\": {kind: command, command: [a]}}\n"),
            "exp.yaml:2:13: workload name \"a,b\" is not usable; use up to 64 letters, digits, "
            "\"_\", \"-\" and \".\"");
}

TEST(ExpandErrors, Models) {
  EXPECT_EQ(ErrorOf("name: e\nworkloads:\n  chat: {kind: generate}\n"),
            "exp.yaml:3:3: workload \"chat\" needs a model; write model: NAME, or list models in "
            "the matrix");
  EXPECT_EQ(
      ErrorOf("name: e\nworkloads:\n  c: {kind: command, command: [a, \"{model.path}\"]}\n"),
      "exp.yaml:3:31: the command uses {model.path} and there is no model; write model: NAME, "
      "or list models in the matrix");
  EXPECT_EQ(ErrorOf("name: e\nmodel: broken\nworkloads: {c: {kind: generate}}\n"),
            "exp.yaml:2:8: model \"broken\": it is not a GGUF file; push the model file itself");
}

TEST(ExpandErrors, UnknownModelsAreNotFound) {
  const char* text =
      "name: e\nworkloads: {c: {kind: generate}}\nmatrix: {model: [tiny-q8_0, a, "
      "tiny-q4_k]}\n";
  const absl::Status status = StatusOf(text);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            "exp.yaml:3:29: unknown model \"a\"; known artifacts are: tiny-f16, tiny-q4_k_m, "
            "tiny-q8_0, broken, two-prompts; push it with `joulefarm artifact push`\n"
            "exp.yaml:3:32: unknown model \"tiny-q4_k\"; did you mean \"tiny-q4_k_m\"? "
            "Otherwise push it with `joulefarm artifact push`");
  // Among other errors it is one of them.
  EXPECT_EQ(ErrorOf(text, {"devices.count=x"}),
            absl::StrCat(status.message(),
                         "\n--set devices.count=x: count must be all, or a number "
                         "from 1 to 1000000; found \"x\""));
  EXPECT_EQ(StatusOf("name: e\nworkloads: {c: {kind: generate}}\n", {"model=tiny"}).message(),
            "--set model=tiny: unknown model \"tiny\"; known artifacts are: tiny-f16, tiny-q4_k_m, "
            "tiny-q8_0, broken, two-prompts; push it with `joulefarm artifact push`");
}

TEST(ExpandErrors, TooManyCellsAreCountedNotMade) {
  std::string thousand;
  for (int i = 1; i <= 1000; ++i) absl::StrAppend(&thousand, i, ",");
  const std::string head = "name: e\nworkloads: {c: {kind: command, command: [a]}}\nmatrix:\n";
  EXPECT_EQ(ErrorOf(absl::StrCat(head, "  a: [", thousand, "]\n  b: [", thousand, "]\n")),
            "exp.yaml:3:1: the matrix has 1000000 cells, 100000 are possible; shorten its lists or "
            "split the experiment");
  std::string text = head;
  for (int i = 0; i < 40; ++i) absl::StrAppend(&text, "  k", i, ": [", thousand, "]\n");
  EXPECT_EQ(ErrorOf(text),
            "exp.yaml:3:1: the matrix has more than 18446744073709551615 cells, 100000 are "
            "possible; shorten its lists or split the experiment");
}

TEST(ExpandErrors, MixedKindsShareOnlyWhatBothTake) {
  EXPECT_EQ(ErrorOf("name: e\nmodel: tiny-f16\n"
                    "workloads: {g: {kind: generate}, c: {kind: command, command: [a]}}\n"
                    "matrix: {foo: [1]}\n"),
            "exp.yaml:4:10: matrix key \"foo\" means nothing to workload \"g\" of kind generate; "
            "keys are: workload, model, engine, max_tokens, threads, temperature, top_k, top_p, "
            "ctx, ignore_eos, seed, batch, ubatch, gpu_layers, flash_attn, cache_type_k, "
            "cache_type_v, url, api_model");
}

TEST(ExpandErrors, Commands) {
  const char* head = "name: e\nworkloads: {c: {kind: command, command: [a]}}\n";
  EXPECT_EQ(ErrorOf(absl::StrCat(head, "matrix: {\"a b\": [1]}\n")),
            "exp.yaml:3:10: matrix key \"a b\" is no identifier; use letters, digits, \"_\" and "
            "\"-\"");
  EXPECT_EQ(ErrorOf(absl::StrCat(head, "matrix: {a: [1, \"1\"]}\n")),
            "exp.yaml:3:17: duplicate value \"1\" of a; list it once");
  EXPECT_EQ(ErrorOf(absl::StrCat(head, "matrix: {a: [", std::string(257, 'x'), "]}\n")),
            "exp.yaml:3:14: longer than 256 bytes; a value is part of each cell's name: give long "
            "ones a short name");
  EXPECT_EQ(ErrorOf(absl::StrCat("name: e\nworkloads: {c: {kind: command, command: [a, ",
                                 std::string(70000, 'x'), "]}}\n")),
            "exp.yaml:2:41: the command has 70003 bytes, 65536 are possible; put what is long into "
            "a script");
}

TEST(ExpandErrors, DescriptionsOfAllCellsAreBounded) {
  std::string values;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&values, i, ",");
  EXPECT_EQ(
      ErrorOf(absl::StrCat("name: e\nworkloads: {c: {kind: command, command: [a, ",
                           std::string(60000, 'x'), "]}}\nmatrix: {a: [", values, "]}\n")),
      "exp.yaml:3:1: prompts and commands of all cells are larger than 256 MiB; shorten them, "
      "or split the experiment");
}

TEST(ExpandErrors, TooManyExclusions) {
  std::string excludes;
  for (int i = 0; i < 1001; ++i) absl::StrAppend(&excludes, "{a: 1},");
  EXPECT_EQ(ErrorOf(absl::StrCat("name: e\nworkloads: {c: {kind: command, command: [a]}}\n"
                                 "matrix: {a: [1, 2]}\nexclude: [",
                                 excludes, "]\n")),
            "exp.yaml:4:10: more than 1000 exclusions; shorten the lists of the matrix instead");
}

TEST(ExpandErrors, AllAreShownTogetherInTheFilesOrder) {
  EXPECT_EQ(
      ErrorOf("name: e\n"
              "model: nope\n"
              "workloads:\n"
              "  a: {kind: accuracy}\n"
              "  b: {kind: generate, options: {foo: 1}}\n"
              "matrix: {threads: []}\n"
              "exclude: [{top: 1}]\n"
              "devices: {selector: os, count: x}\n"),
      "exp.yaml:2:8: unknown model \"nope\"; known artifacts are: tiny-f16, tiny-q4_k_m, "
      "tiny-q8_0, broken, two-prompts; push it with `joulefarm artifact push`\n"
      "exp.yaml:4:13: workload kind \"accuracy\" is not in this version; kinds are generate, "
      "throughput and command\n"
      "exp.yaml:5:33: unknown option \"foo\"; options of generate: temperature, top_k, top_p, "
      "ctx, ignore_eos, seed, batch, ubatch, gpu_layers, flash_attn, cache_type_k, "
      "cache_type_v, url, api_model\n"
      "exp.yaml:6:19: threads has no values; list at least one, or remove the key\n"
      "exp.yaml:7:12: exclude names \"top\", which is not in the matrix; its keys are: "
      "workload\n"
      "exp.yaml:8:21: selector: at character 3: after \"os\" one of = != >= <= > < was "
      "expected\n"
      "exp.yaml:8:32: count must be all, or a number from 1 to 1000000; found \"x\"");
}

}  // namespace
}  // namespace joulefarm
