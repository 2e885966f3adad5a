// Mutated experiments end in a status, and what is accepted keeps its promises.
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/experiment/expand.h"
#include "gtest/gtest.h"
#include "tests/common/experiment/fake_catalogue.h"

namespace joulefarm {
namespace {

constexpr char kValid[] = R"(name: fuzz
workloads:
  chat: {kind: generate, prompts: [{set: mixed}, {artifact: two-prompts}], options: {ctx: 16}}
  run: {kind: command, command: [prog, "{threads}", "{model.path}"]}
matrix:
  workload: [chat, run]
  model: [tiny-f16, tiny-q8_0]
  threads: [1, 2]
exclude: [{model: tiny-f16, threads: 1}, {workload: run, threads: 2}]
devices: {selector: "os=linux,ram_mib>=1024", count: 2}
power: {require: none}
)";

void ExpectSound(const Expansion& e) {
  EXPECT_FALSE(e.name.empty());
  EXPECT_FALSE(e.cells.empty());
  EXPECT_TRUE(IsSha256Hex(e.sha256));
  std::set<std::string> texts;
  for (const Cell& cell : e.cells) {
    EXPECT_TRUE(texts.insert(cell.text).second) << cell.text;
    EXPECT_FALSE(cell.text.empty());
    EXPECT_EQ(cell.spec.cell(), cell.text);
    EXPECT_GE(cell.spec.repetitions(), 1);
    EXPECT_NE(cell.spec.kind_case(), v1::JobSpec::KIND_NOT_SET);
    if (cell.spec.has_generate()) {
      EXPECT_TRUE(cell.spec.has_model());
      EXPECT_GE(cell.spec.generate().prompts_size(), 1);
      EXPECT_GE(cell.spec.generate().max_tokens(), 1);
    } else {
      EXPECT_FALSE(cell.spec.command().argv(0).empty());
    }
    std::string bytes;
    ASSERT_TRUE(cell.spec.SerializeToString(&bytes));
    ASSERT_TRUE(v1::JobSpec().ParseFromString(bytes));
  }
}

TEST(HostileExperiment, RandomMutations) {
  std::mt19937_64 random(4711);
  const FakeCatalogue catalogue;
  const std::string valid = kValid;
  const std::vector<std::string> pieces = {"[",           "]",
                                           "{",           "}",
                                           ":",           ", ",
                                           "\n",          "  ",
                                           "- ",          "\"",
                                           "0",           "-1",
                                           "1e99",        "~",
                                           "threads",     "model",
                                           "workload",    "tiny-q8_0",
                                           "chat",        "run",
                                           "ctx",         "{model.name}",
                                           "99999999999", "a"};
  int accepted = 0;
  for (int round = 0; round < 8000; ++round) {
    std::string text = valid;
    const size_t edits = 1 + random() % 3;
    for (size_t i = 0; i < edits; ++i) {
      const size_t at = random() % (text.size() + 1);
      if (random() % 2 == 0) {
        text.erase(at, random() % 12);
      } else {
        text.insert(at, pieces[random() % pieces.size()]);
      }
    }
    const auto expansion = ExpandYaml(text, "f", {}, catalogue);
    if (expansion.ok()) {
      ++accepted;
      ExpectSound(*expansion);
      const auto again = ExpandYaml(text, "g", {}, catalogue);
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(again->sha256, expansion->sha256);
    } else {
      const absl::StatusCode code = expansion.status().code();
      ASSERT_TRUE(code == absl::StatusCode::kInvalidArgument || code == absl::StatusCode::kNotFound)
          << expansion.status() << "\n"
          << text;
      ASSERT_EQ(expansion.status().message().substr(0, 2), "f:") << text;
    }
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 6000);
}

TEST(HostileExperiment, TheSeedItselfIsValid) {
  const auto expansion = ExpandYaml(kValid, "f", {}, FakeCatalogue());
  ASSERT_TRUE(expansion.ok()) << expansion.status();
  ExpectSound(*expansion);
  EXPECT_EQ(expansion->cells.size(), 4u);
}

}  // namespace
}  // namespace joulefarm
