#include "common/config/yaml_proto.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "joulefarm/config/v1/agent.pb.h"
#include "joulefarm/config/v1/experiment.pb.h"

namespace joulefarm {
namespace {

using config::v1::Experiment;

struct Parsed {
  absl::Status status;
  Experiment experiment;
  SourceMap source;
};

Parsed Parse(absl::string_view text) {
  Parsed parsed;
  parsed.status = ParseYaml(text, "exp.yaml", &parsed.experiment, &parsed.source);
  return parsed;
}

// The whole error text.
std::string ErrorOf(absl::string_view text) {
  const absl::Status status = Parse(text).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(status.message());
}

TEST(ParseYaml, FillsEveryKindOfField) {
  const Parsed parsed = Parse(R"(# a comment
name: quant-sweep
workloads:
  chat:
    kind: generate
    prompts: [{text: "Hello"}, {set: short}]
    max_tokens: 64
    options: {temperature: 0.5, ctx: 0x800, ignore_eos: true, flash_attn: on}
  sleep: {kind: command, command: [sleep, 1]}
matrix:
  model: [tiny-f16, "10"]
  threads: [1, 2]
exclude: [{model: tiny-f16, threads: 1}]
devices: {count: 2}
seed: -5
plan: {settle: 0s}
gates: {max_temp_c: 45}
)");
  ASSERT_TRUE(parsed.status.ok()) << parsed.status;
  const Experiment& e = parsed.experiment;
  EXPECT_EQ(e.name(), "quant-sweep");
  ASSERT_EQ(e.workloads_size(), 2);
  EXPECT_EQ(e.workloads(0).key(), "chat");
  EXPECT_EQ(e.workloads(0).value().prompts(1).set(), "short");
  EXPECT_EQ(e.workloads(0).value().options(1).value().integer(), 2048);
  EXPECT_EQ(e.workloads(0).value().options(2).value().boolean(), true);
  EXPECT_EQ(e.workloads(0).value().options(3).value().text(), "on");
  EXPECT_EQ(e.workloads(1).value().command(1), "1");
  EXPECT_EQ(e.matrix(0).value(1).text(), "10");
  EXPECT_EQ(e.matrix(1).value(1).integer(), 2);
  ASSERT_EQ(e.exclude_size(), 1);
  EXPECT_EQ(e.exclude(0).match(1).key(), "threads");
  EXPECT_EQ(e.devices().count(), "2");
  EXPECT_EQ(e.seed(), -5);
  EXPECT_EQ(e.plan().settle(), "0s");
  EXPECT_FALSE(e.plan().has_idle());
  EXPECT_EQ(e.gates().max_temp_c(), 45);
}

TEST(ParseYaml, RemembersWhereThingsWere) {
  const Parsed parsed = Parse(
      "name: x\n"
      "workloads:\n"
      "  chat:\n"
      "    options: {ü: 1, ctx: 5}\n"
      "exclude:\n"
      "  - {model: a}\n");
  ASSERT_TRUE(parsed.status.ok()) << parsed.status;
  const SourceMap& source = parsed.source;
  EXPECT_EQ(source.Key("workloads.chat.options.ctx"), (SourcePosition{4, 21, ""}));
  EXPECT_EQ(source.Value("workloads.chat.options.ctx"), (SourcePosition{4, 26, ""}));
  EXPECT_EQ(source.Value("exclude[0]"), (SourcePosition{6, 5, ""}));
  EXPECT_EQ(source.Value("exclude[0].model"), (SourcePosition{6, 13, ""}));
  EXPECT_TRUE(source.Has("exclude"));
  EXPECT_FALSE(source.Has("workloads.chat.kind"));
  // What is missing is missed at what should hold it.
  EXPECT_EQ(source.Value("workloads.chat.kind"), (SourcePosition{3, 3, ""}));
  EXPECT_EQ(source.Value("matrix.model"), (SourcePosition{1, 1, ""}));
}

TEST(ParseYaml, ColumnsCountCharacters) {
  EXPECT_EQ(ErrorOf("name: \"ü—😀\"\nworkloads: {\"ü\": {kind: a, oops: 1}}"),
            "exp.yaml:2:28: unknown key \"oops\"; keys here: kind, engine, prompts, max_tokens, "
            "threads, options, command, server");
}

TEST(ParseYaml, ToleratesByteOrderMarksAndWindowsLines) {
  const Parsed parsed = Parse("\xEF\xBB\xBFname: x\r\nseed: 1\r\n");
  ASSERT_TRUE(parsed.status.ok()) << parsed.status;
  EXPECT_EQ(parsed.experiment.name(), "x");
  EXPECT_EQ(parsed.source.Key("seed"), (SourcePosition{2, 1, ""}));
}

struct BadCase {
  const char* label;
  const char* text;
  const char* error;
};

// So that a failing case is printed by its name.
void PrintTo(const BadCase& bad, std::ostream* out) { *out << bad.label; }

class ParseYamlRefuses : public testing::TestWithParam<BadCase> {};

TEST_P(ParseYamlRefuses, WithItsPlaceAndAdvice) {
  EXPECT_EQ(ErrorOf(GetParam().text), GetParam().error);
}

const BadCase kBadCases[] = {
    {"UnknownKey", "name: a\nrepetition: 3\n",
     "exp.yaml:2:1: unknown key \"repetition\"; did you mean \"repetitions\"?"},
    {"UnknownNestedKey", "plan:\n  settel: 3s\n",
     "exp.yaml:2:3: unknown key \"settel\"; did you mean \"settle\"?"},
    {"FarFromAnyKey", "devices: {zzzzzz: 1}",
     "exp.yaml:1:11: unknown key \"zzzzzz\"; keys here: selector, count"},
    {"NoSpaceAfterColon", "devices: {count:2}",
     "exp.yaml:1:11: unknown key \"count:2\"; put a space after the colon of \"count\""},
    {"DuplicateKey", "name: a\nseed: 1\nseed: 2\n",
     "exp.yaml:3:1: duplicate key \"seed\"; it is already set in line 2: remove one"},
    {"DuplicateMatrixKey", "matrix:\n  threads: [1]\n  threads: [2]\n",
     "exp.yaml:3:3: duplicate key \"threads\"; it is already set in line 2: remove one"},
    {"DuplicateInFlow", "matrix: {a: [1], \"a\": [2]}",
     "exp.yaml:1:18: duplicate key \"a\"; it is already set in line 1: remove one"},
    {"Alias", "name: &n a\ntenant: *n\n",
     "exp.yaml:1:7: anchors are not supported; remove \"&n\"\n"
     "exp.yaml:2:9: aliases are not supported; write the value out"},
    {"MergeKey", "plan: &p {idle: 1s}\nlimits: {<<: *p}\n",
     "exp.yaml:1:7: anchors are not supported; remove \"&p\"\n"
     "exp.yaml:2:10: unknown key \"<<\"; keys here: queue, prepare, run, total\n"
     "exp.yaml:2:14: aliases are not supported; write the value out"},
    {"UndefinedAlias", "name: *n\n",
     "exp.yaml:1:7: not YAML: the referenced anchor is not defined; check the indentation and the "
     "quotes"},
    {"Tag", "name: !!str 5\n",
     "exp.yaml:1:7: tags are not supported; remove what begins with \"!\", and quote a value that "
     "must be text"},
    {"TagOnMap", "plan: !x {idle: 1s}\n",
     "exp.yaml:1:7: tags are not supported; remove what begins with \"!\", and quote a value that "
     "must be text"},
    {"TextForInteger", "repetitions: three\n",
     "exp.yaml:1:14: repetitions must be a whole number; found the text \"three\""},
    {"BigInteger", "seed: 9223372036854775808\n",
     "exp.yaml:1:7: seed must be from -9223372036854775808 to 9223372036854775807; found "
     "9223372036854775808"},
    {"OutOfRange", "repetitions: 0\n",
     "exp.yaml:1:14: repetitions must be at least 1 and at most 10000; found 0"},
    {"NotANumber", "gates: {max_temp_c: .nan}\n",
     "exp.yaml:1:21: max_temp_c must be a finite number; found .nan"},
    {"Choice", "on_disconnect: stopp\n",
     "exp.yaml:1:16: on_disconnect must be one of continue, stop; found the text \"stopp\"; did "
     "you mean \"stop\"?"},
    {"Duration", "plan: {idle: 10}\n",
     "exp.yaml:1:14: idle: \"10\" is not a duration: the unit is missing; write it like 250ms, "
     "30s, 10m, 24h or 1h30m"},
    {"ListForText", "name: [a]\n", "exp.yaml:1:7: name must be a text; found a list"},
    {"MappingForInteger", "seed: {a: 1}\n",
     "exp.yaml:1:7: seed must be a whole number; found a mapping"},
    {"TextForList", "matrix: {threads: 4}\n",
     "exp.yaml:1:19: threads must be a list such as [a, b]; found \"4\""},
    {"TextForMapping", "plan: quick\n",
     "exp.yaml:1:7: plan must be a mapping of keys to values; found \"quick\""},
    {"ListForMapping", "workloads: [a]\n",
     "exp.yaml:1:12: workloads must be a mapping of keys to values; found a list"},
    {"ListInAxis", "matrix: {threads: [1, [2]]}\n",
     "exp.yaml:1:23: threads[1] must be a single value; found a list"},
    {"MappingInExclude", "exclude: [{threads: {a: 1}}]\n",
     "exp.yaml:1:21: threads must be a single value; found a mapping"},
    {"TextInExclude", "exclude: [all]\n",
     "exp.yaml:1:11: exclude[0] must be a mapping of keys to values; found \"all\""},
    {"NumberTooBigInAxis", "matrix: {a: [99999999999999999999]}\n",
     "exp.yaml:1:14: \"99999999999999999999\" does not fit into 64 bits; put it in quotes if it is "
     "a text"},
    {"NanInAxis", "matrix: {a: [.nan]}\n",
     "exp.yaml:1:14: \".nan\" is not a finite number; put it in quotes if it is a text"},
    {"NullAtTheEnd", "name: a\nseed:\n",
     "exp.yaml:2:1: seed has no value; give it a whole number or remove it"},
    {"NullBeforeMore", "plan:\n\n# more\nname: a\n",
     "exp.yaml:1:1: plan has no value; give it a mapping of keys to values or remove it"},
    {"WrittenNull", "name: ~\n", "exp.yaml:1:1: name has no value; give it a text or remove it"},
    {"NullInList", "matrix:\n  a:\n    - 1\n    -\n    - 3\n",
     "exp.yaml:4:5: a[1] has no value; give it a single value or remove it"},
    {"Empty", "", "exp.yaml:1:1: the file is empty; write keys and values"},
    {"OnlyComments", "# nothing\n\n", "exp.yaml:1:1: the file is empty; write keys and values"},
    {"OnlyADash", "---\n", "exp.yaml:1:1: the file is empty; write keys and values"},
    {"TopLevelText", "hello\n",
     "exp.yaml:1:1: the file must be a mapping of keys to values; found \"hello\""},
    {"TopLevelList", "- a\n",
     "exp.yaml:1:1: the file must be a mapping of keys to values; found a list"},
    {"SeveralDocuments", "name: a\n---\nname: b\n",
     "exp.yaml:2:1: a second document begins here; a file holds one: check the indentation, or "
     "split it"},
    {"RestAfterList", "- a\nname: b\n",
     "exp.yaml:2:1: a second document begins here; a file holds one: check the indentation, or "
     "split it"},
    {"ColonInText", "name: a: b\n",
     "exp.yaml:1:8: a colon cannot stand here; check the indentation, and quote text that contains "
     "\": \""},
    {"WrongIndentation", "plan:\n  idle: 1s\n pause: 1s\n",
     "exp.yaml:3:2: this does not belong to the mapping above; check the indentation and the "
     "quotes"},
    {"Tab", "plan:\n\tidle: 1s\n", "exp.yaml:2:1: tabs cannot indent; use spaces"},
    {"OpenList", "matrix: {a: [1, 2}\n",
     "exp.yaml:1:18: this bracket does not close the one that is open; check \"[]\" and \"{}\""},
    {"OpenDoubleQuote", "name: \"a\nseed: 1\n",
     "exp.yaml:1:7: the quote is never closed; add a \""},
    {"OpenSingleQuote", "name: 'it''s\n", "exp.yaml:1:7: the quote is never closed; add a '"},
    {"ReservedCharacter", "name: @a\n",
     "exp.yaml:1:7: this character cannot begin a value; put the text in quotes"},
    {"MappingAsKey", "? {a: 1}\n: 2\n",
     "exp.yaml:1:3: a list or mapping that is not closed, or stands where a key must be; add the "
     "missing bracket, or write a text before the colon"},
    {"NeverClosedList", "name: a\nmatrix: {a: [1, 2\n",
     "exp.yaml:3:1: the list before this is not closed; add a \"]\" or a comma"},
    {"NeverClosedListBeforeMore", "matrix:\n  a: [1, 2\nname: x\n",
     "exp.yaml:3:5: the list before this is not closed; add a \"]\" or a comma"},
    {"NullAsKey", "~: 2\n", "exp.yaml:1:1: a key must be text; write it before the colon"},
    {"NotUtf8", "name: a\nseed: \"\xC3\x28\"\n", "exp.yaml:2:8: not UTF-8; save the file as UTF-8"},
    {"ControlCharacter", "name: a\x04\n",
     "exp.yaml:1:8: control character 0x04; remove it, or write it as an escape in double quotes"},
    {"EscapedNul", "name: \"a\\0\"\n",
     "exp.yaml:1:7: text must not contain a NUL character; remove it"},
};

INSTANTIATE_TEST_SUITE_P(Files, ParseYamlRefuses, testing::ValuesIn(kBadCases),
                         [](const auto& bad) { return bad.param.label; });

TEST(ParseYaml, CollectsErrorsInTheFilesOrder) {
  EXPECT_EQ(ErrorOf("seed: x\nname: [1]\nrepetitions: 0\nseed: 3\n"),
            "exp.yaml:1:7: seed must be a whole number; found the text \"x\"\n"
            "exp.yaml:2:7: name must be a text; found a list\n"
            "exp.yaml:3:14: repetitions must be at least 1 and at most 10000; found 0\n"
            "exp.yaml:4:1: duplicate key \"seed\"; it is already set in line 1: remove one");
}

TEST(ParseYaml, ShowsTenErrorsAndCountsTheRest) {
  std::string text;
  for (int i = 0; i < 25; ++i) absl::StrAppend(&text, "k", i, ": 1\n");
  const std::string error = ErrorOf(text);
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 10);
  EXPECT_THAT(error, testing::HasSubstr("exp.yaml:10:1: unknown key \"k9\""));
  EXPECT_THAT(error, testing::EndsWith("\nexp.yaml: and 15 more errors"));
}

TEST(ParseYaml, TakesAnEmptyFileWhereTheSchemaSaysSo) {
  config::v1::AgentConfig agent;
  SourceMap source;
  EXPECT_TRUE(ParseYaml("# all defaults\n", "agent.yaml", &agent, &source).ok());
  EXPECT_TRUE(ParseYaml("", "agent.yaml", &agent, &source).ok());
  EXPECT_TRUE(ParseYaml("labels: {zone: lab1, rack: 7}", "agent.yaml", &agent, &source).ok());
  ASSERT_EQ(agent.labels_size(), 2);
  EXPECT_EQ(agent.labels(1).value(), "7");
}

TEST(ParseYamlFile, NamesTheFile) {
  std::string dir = (std::filesystem::temp_directory_path() / "jf-yaml-XXXXXX").string();
  ASSERT_NE(mkdtemp(dir.data()), nullptr);
  const std::filesystem::path path = std::filesystem::path(dir) / "a.yaml";
  config::v1::AgentConfig agent;
  SourceMap source;
  EXPECT_EQ(ParseYamlFile(path, &agent, &source).code(), absl::StatusCode::kNotFound);
  std::ofstream(path) << "controler: x\n";
  EXPECT_EQ(ParseYamlFile(path, &agent, &source).message(),
            absl::StrCat(path.string(),
                         ":1:1: unknown key \"controler\"; did you mean "
                         "\"controller\"?"));
  EXPECT_EQ(ParseYamlFile(dir, &agent, &source).code(), absl::StatusCode::kUnavailable);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace joulefarm
