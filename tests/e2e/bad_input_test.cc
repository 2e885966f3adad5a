// What an operator may get wrong: exit code 2, an error that says where and what to do, and daemons
// that stay up.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/e2e/farm.h"

namespace joulefarm::e2e {
namespace {

using ::testing::HasSubstr;

constexpr char kGood[] = "name: good\nworkloads: {w: {kind: command, command: [\"true\"]}}\n";

class BadInputTest : public FarmTest {
 protected:
  void SetUp() override { StartController(); }

  // Each of `says` must be in the error. Nothing may have been queued.
  void ExpectRefused(const std::string& yaml, const Args& says, const Args& args = {}) {
    const Ended ended = Submit(yaml, args);
    EXPECT_EQ(ended.code, 2) << yaml.substr(0, 200) << "\n" << ended.out << ended.err;
    for (const std::string& part : says)
      EXPECT_THAT(ended.err, HasSubstr(part)) << yaml.substr(0, 200);
    EXPECT_EQ(Value("select count(*) from job"), "0");
    EXPECT_TRUE(controller().Running());
  }
};

TEST_F(BadInputTest, ErrorsNameThePlaceAndWhatToDo) {
  StartAgentAndWait("a");
  ExpectRefused(absl::StrCat(kGood, "repetitons: 3\n"),
                {"exp.yaml:3:1", "repetitons", "repetitions"});
  ExpectRefused("name: good\nworkloads: {w: {kind: command, comand: [x]}}\n",
                {"exp.yaml:2:", "comand", "command"});
  ExpectRefused(absl::StrCat(kGood, "seed: 1\nseed: 2\n"), {"exp.yaml:4:1", "seed"});
  ExpectRefused("name: &x good\nworkloads: {w: {kind: command, command: [*x]}}\n",
                {"exp.yaml:1:7", "anchor"});
  ExpectRefused(absl::StrCat(kGood, "repetitions: three\n"), {"exp.yaml:3:14", "repetitions"});
  ExpectRefused(absl::StrCat(kGood, "repetitions: \"3\"\n"), {"exp.yaml:3:14", "repetitions"});
  ExpectRefused(absl::StrCat(kGood, "repetitions: 0\n"), {"exp.yaml:3:14", "repetitions"});
  ExpectRefused(absl::StrCat(kGood, "limits: {run: forever}\n"), {"exp.yaml:3:15", "run"});
  ExpectRefused(absl::StrCat(kGood, "matrix: {}\n"), {"exp.yaml:3:", "matrix"});
  ExpectRefused(absl::StrCat(kGood, "matrix: {n: []}\n"), {"exp.yaml:3:", "n"});
  ExpectRefused(absl::StrCat(kGood, "matrix: {n: [1, 1]}\n"), {"exp.yaml:3:", "n"});
  ExpectRefused(absl::StrCat(kGood, "matrix: {n: [1]}\nexclude: [{n: 1}]\n"), {"cell"});
  ExpectRefused(absl::StrCat(kGood, "power: {require: maybe}\n"),
                {"exp.yaml:3:", "required", "optional", "none"});
  ExpectRefused("name: good\n", {"workloads"});
  ExpectRefused("", {"exp.yaml"});
  ExpectRefused("- a\n- b\n", {"exp.yaml:1:1"});
  ExpectRefused("name: [unclosed\n", {"exp.yaml:"});
  ExpectRefused(absl::StrCat(kGood, "tenant: \"\xff\xfe\"\n"), {"UTF-8"});
  ExpectRefused(kGood, {"repetitions"}, {"--set", "repetitions=x"});
  ExpectRefused(kGood, {"repetitons", "repetitions"}, {"--set", "repetitons=3"});
  ExpectRefused(kGood, {"KEY=VALUE"}, {"--set", "repetitions"});
  ExpectRefused(kGood, {"--timeout"}, {"--wait", "--timeout", "soon"});
  // And after all that it works.
  EXPECT_EQ(Submit(kGood, {"--wait", "--set", "repetitions=1", "--set", "warmup=0", "--set",
                           "plan={settle: 0s, idle: 0s, pause: 0s, tail: 0s}"})
                .code,
            0);
  EXPECT_TRUE(agent("a").Running());
}

TEST_F(BadInputTest, AMatrixOfAMillionCellsIsRefusedAtOnce) {
  StartAgentAndWait("a");
  std::string matrix = "matrix:\n";
  for (const char* key : {"a", "b", "c", "d", "e", "f"})
    absl::StrAppend(&matrix, "  ", key, ": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n");
  ExpectRefused(absl::StrCat(kGood, matrix), {"exp.yaml:3:", "100", "cells"});
  ExpectRefused(absl::StrCat(kGood, "# ", std::string(2 << 20, 'x'), "\n"),
                {"exp.yaml:1:1", "1048576"});
  EXPECT_EQ(RunCli({"device", "list", "-o", "name"}).out, "a\n");
}

TEST_F(BadInputTest, WhatCannotBeSatisfiedIsRefusedWithTheReason) {
  ExpectRefused(kGood, {"UNSATISFIABLE", "joulefarm-agent"});
  EXPECT_EQ(Submit(kGood, {"--dry-run"}).code, 2);
  StartAgentAndWait("a");
  ExpectRefused(absl::StrCat(kGood, "devices: {selector: \"kind=phone,cores>=1\"}\n"),
                {"UNSATISFIABLE", "kind=phone", "excludes 1"});
  ExpectRefused(absl::StrCat(kGood, "devices: {count: 3}\n"), {"UNSATISFIABLE", "3"});
  ExpectRefused(absl::StrCat(kGood, "devices: {selector: \"cores>>1\"}\n"),
                {"exp.yaml:3:", "selector"});
  ExpectRefused("name: good\nmodel: nope\nworkloads: {chat: {kind: generate}}\n",
                {"exp.yaml:2:8", "nope", "artifact push"});
  ExpectRefused("name: good\nworkloads: {chat: {kind: generate}}\n", {"model"});
  ExpectRefused("name: good\nworkloads: {chat: {kind: generat}}\n", {"generat", "generate"});
  const Ended dry =
      Submit(absl::StrCat(kGood, "devices: {selector: \"kind=phone\"}\n"), {"--dry-run"});
  EXPECT_EQ(dry.code, 2);
  EXPECT_THAT(dry.out + dry.err, HasSubstr("kind=phone"));
  const Ended fine = Submit(kGood, {"--dry-run"});
  EXPECT_EQ(fine.code, 0);
  EXPECT_THAT(fine.out, HasSubstr("a"));
  EXPECT_EQ(Value("select count(*) from experiment"), "0");
}

TEST_F(BadInputTest, CommandsRefuseWhatTheyDoNotKnow) {
  const auto refused = [this](const Args& args, const std::string& says) {
    const Ended ended = RunCli(args);
    EXPECT_EQ(ended.code, 2) << args[0] << "\n" << ended.out << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(says)) << args[0];
  };
  refused({"submit", "-f", (dir() / "none.yaml").string()}, "none.yaml");
  refused({"submit", "-f", dir().string()}, dir().string());
  refused({"submit"}, "--file");
  refused({"job", "get", "job-9"}, "job-9");
  refused({"experiment", "get", "exp-9"}, "exp-9");
  refused({"experiment", "cancel", "exp-9"}, "exp-9");
  refused({"device", "get", "nobody"}, "nobody");
  refused({"job", "list", "--filter", "stat=x"}, "state");
  refused({"result", "list", "-o", "xml"}, "xml");
  refused({"joob", "list"}, "joob");
  refused({"sql", "--db", (dir() / "none.db").string(), "select 1"}, "none.db");
  // From a pipe, without a file.
  const Ended piped = RunCli({"submit", "-f", "-"}, "name: 1bad name\n");
  EXPECT_EQ(piped.code, 2);
  EXPECT_THAT(piped.err, HasSubstr("stdin:1:7"));
}

}  // namespace
}  // namespace joulefarm::e2e
