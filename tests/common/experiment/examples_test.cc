// The examples we ship are right, and show every key there is.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/config/scalar.h"
#include "common/config/yaml_proto.h"
#include "common/experiment/expand.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "joulefarm/config/v1/agent.pb.h"
#include "joulefarm/config/v1/controller.pb.h"
#include "tests/common/experiment/fake_catalogue.h"

namespace joulefarm {
namespace {

// ctest runs in the root of the source tree.
const std::filesystem::path kExamples = "deploy/examples";

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path << " (run from the root of the source tree)";
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// "#key: value" lines switched on; "# words" stay comments.
std::string SwitchedOn(const std::string& text) {
  std::string out;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const bool is_key = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    absl::StrAppend(&out, is_key ? line.substr(1) : line, "\n");
  }
  return out;
}

template <typename Config>
void ExpectCompleteConfig(const std::string& name) {
  const std::string text = ReadAll(kExamples / name);
  Config config;
  SourceMap source;
  absl::Status status = ParseYaml(text, name, &config, &source);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(config.ByteSizeLong(), 0u) << name << " should change nothing as it is";
  status = ParseYaml(SwitchedOn(text), name, &config, &source);
  EXPECT_TRUE(status.ok()) << status;
  for (const std::string& key : FieldNames(Config::descriptor())) {
    EXPECT_TRUE(source.Has(key)) << name << " does not show " << key;
  }
}

TEST(Examples, AgentConfigShowsEveryKey) {
  ExpectCompleteConfig<config::v1::AgentConfig>("agent.yaml");
}

TEST(Examples, ControllerConfigShowsEveryKey) {
  ExpectCompleteConfig<config::v1::ControllerConfig>("controller.yaml");
}

TEST(Examples, ExperimentsExpand) {
  std::set<std::string> seen;
  for (const auto& entry : std::filesystem::directory_iterator(kExamples)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".yaml" || name == "agent.yaml" || name == "controller.yaml") {
      continue;
    }
    seen.insert(name);
    const auto expansion = ExpandYaml(ReadAll(entry.path()), name, {}, FakeCatalogue());
    ASSERT_TRUE(expansion.ok()) << expansion.status();
    EXPECT_THAT(expansion->warnings, testing::IsEmpty()) << name;
    EXPECT_GT(expansion->cells.size(), 1u) << name;
  }
  EXPECT_THAT(seen, testing::IsSupersetOf({"quant-sweep.yaml", "command.yaml"}));
}

TEST(Examples, TheCommandKeepsItsOwnBraces) {
  const auto expansion =
      ExpandYaml(ReadAll(kExamples / "command.yaml"), "command.yaml", {}, FakeCatalogue());
  ASSERT_TRUE(expansion.ok()) << expansion.status();
  const std::string& script = expansion->cells.at(1).spec.command().argv(2);
  EXPECT_THAT(script, testing::HasSubstr("-lt 200000 ]"));
  EXPECT_THAT(script, testing::HasSubstr("{\"metric\": \"rounds\", \"value\": 200000}"));
}

// Experiments in fenced blocks of the page for people.
TEST(Examples, ThePageForPeopleIsRight) {
  const std::string page = ReadAll("docs/experiment-file.md");
  std::vector<std::string> blocks;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    if (absl::StartsWith(line, "```")) {
      inside = line == "```yaml";
      if (inside) blocks.emplace_back();
    } else if (inside) {
      absl::StrAppend(&blocks.back(), line, "\n");
    }
  }
  ASSERT_GE(blocks.size(), 3u);
  for (const std::string& block : blocks) {
    const auto expansion = ExpandYaml(block, "docs", {}, FakeCatalogue());
    EXPECT_TRUE(expansion.ok()) << expansion.status() << "\n" << block;
  }
}

TEST(Examples, ThePageForPeopleNamesEveryKey) {
  const std::string page = ReadAll("docs/experiment-file.md");
  using namespace config::v1;  // NOLINT: messages of the schema
  for (const auto* descriptor :
       {Experiment::descriptor(), Workload::descriptor(), GenerateOptions::descriptor(),
        ThroughputOptions::descriptor(), PromptSource::descriptor(), DeviceSelection::descriptor(),
        PowerRequirement::descriptor(), Gates::descriptor(), Plan::descriptor(),
        Limits::descriptor()}) {
    for (const std::string& key : FieldNames(descriptor)) {
      EXPECT_THAT(page, testing::HasSubstr(absl::StrCat("| `", key, "`")))
          << descriptor->full_name();
    }
  }
}

}  // namespace
}  // namespace joulefarm
