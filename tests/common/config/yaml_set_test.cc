#include <string>
#include <vector>

#include "common/config/yaml_proto.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "joulefarm/config/v1/experiment.pb.h"

namespace joulefarm {
namespace {

using config::v1::Experiment;

constexpr char kFile[] =
    "name: a\n"
    "workloads:\n"
    "  chat: {kind: generate, max_tokens: 64}\n"
    "matrix: {threads: [1, 2]}\n";

absl::Status Parse(const std::vector<std::string>& set, Experiment* experiment,
                   absl::string_view text = kFile) {
  SourceMap source;
  return ParseYaml(text, "exp.yaml", set, experiment, &source);
}

std::string ErrorOf(const std::vector<std::string>& set, absl::string_view text = kFile) {
  Experiment experiment;
  const absl::Status status = Parse(set, &experiment, text);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ApplySet, ReplacesAndAdds) {
  Experiment e;
  ASSERT_TRUE(
      Parse({"name=b", "workloads.chat.max_tokens=8", "matrix.threads=[4]", "plan.settle=0s",
             "power={require: none}", "seed=1", "seed=2", "workloads.chat.options.temperature=0.5"},
            &e)
          .ok());
  EXPECT_EQ(e.name(), "b");
  EXPECT_EQ(e.workloads(0).value().max_tokens(), 8);
  EXPECT_EQ(e.workloads(0).value().kind(), "generate");
  ASSERT_EQ(e.matrix(0).value_size(), 1);
  EXPECT_EQ(e.matrix(0).value(0).integer(), 4);
  EXPECT_EQ(e.plan().settle(), "0s");
  EXPECT_EQ(e.power().require(), "none");
  EXPECT_EQ(e.seed(), 2);
  EXPECT_EQ(e.workloads(0).value().options(0).value().real(), 0.5);
}

TEST(ApplySet, NothingIsTheEmptyText) {
  Experiment e;
  ASSERT_TRUE(Parse({"devices.selector=", "power.channel= "}, &e).ok());
  EXPECT_TRUE(e.devices().has_selector());
  EXPECT_EQ(e.devices().selector(), "");
  EXPECT_TRUE(e.power().has_channel());
}

TEST(ApplySet, KeepsEverythingAfterTheFirstEquals) {
  Experiment e;
  ASSERT_TRUE(Parse({"devices.selector=os=linux,ram_mib>=1024"}, &e).ok());
  EXPECT_EQ(e.devices().selector(), "os=linux,ram_mib>=1024");
}

TEST(ApplySet, FindsKeysWithDots) {
  Experiment e;
  ASSERT_TRUE(
      Parse({"workloads.v1.5.max_tokens=3"}, &e, "workloads: {v1.5: {kind: generate}}").ok());
  ASSERT_EQ(e.workloads_size(), 1);
  EXPECT_EQ(e.workloads(0).value().max_tokens(), 3);
}

TEST(ApplySet, WorksOnAnEmptyFile) {
  Experiment e;
  ASSERT_TRUE(Parse({"name=b"}, &e, "# nothing\n").ok());
  EXPECT_EQ(e.name(), "b");
}

TEST(ApplySet, RepairsTheFileBeforeItIsChecked) {
  Experiment e;
  EXPECT_TRUE(Parse({"seed=1"}, &e, "name: a\nseed: wrong\n").ok());
}

TEST(ApplySet, ErrorsNameTheArgument) {
  EXPECT_EQ(ErrorOf({"repetition=3"}),
            "--set repetition=3: unknown key \"repetition\"; did you mean \"repetitions\"?");
  EXPECT_EQ(ErrorOf({"repetitions=0"}),
            "--set repetitions=0: repetitions must be at least 1 and at most 10000; found 0");
  EXPECT_EQ(ErrorOf({"plan.settle=3"}),
            "--set plan.settle=3: settle: \"3\" is not a duration: the unit is missing; write it "
            "like 250ms, 30s, 10m, 24h or 1h30m");
  EXPECT_EQ(
      ErrorOf({"matrix.threads=[1,"}),
      "--set matrix.threads=[1,: a list or mapping that is not closed, or stands where a key must "
      "be; add the missing bracket, or write a text before the colon");
  EXPECT_EQ(ErrorOf({"name.x=1"}),
            "--set name.x=1: what is above \"x\" is not a mapping; set the whole of it instead");
  EXPECT_EQ(ErrorOf({"name=~"}), "--set name=~: name has no value; give it a text or remove it");
  EXPECT_EQ(ErrorOf({"plan={idle: 1s, idle: 2s}"}),
            "--set plan={idle: 1s, idle: 2s}: duplicate key \"idle\"; it is already set before: "
            "remove one");
}

TEST(ApplySet, RefusesWhatIsNoAssignment) {
  for (const char* bad : {"", "name", "=x", ".a=1", "a.=1", "a..b=1"}) {
    EXPECT_THAT(ErrorOf({bad}), testing::HasSubstr("not of the form key=value")) << bad;
  }
  std::string deep = "a";
  for (int i = 0; i < 100000; ++i) deep += ".a";
  EXPECT_THAT(ErrorOf({deep + "=1"}), testing::HasSubstr("not of the form key=value"));
  EXPECT_EQ(ErrorOf({"name=\xFF"}), "--set: the value is not printable UTF-8; check the command");
}

}  // namespace
}  // namespace joulefarm
