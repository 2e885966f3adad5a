// The kind throughput in an experiment file.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/experiment/expanded.h"

namespace joulefarm {
namespace {

using testing::ElementsAre;

std::string ErrorOf(absl::string_view workload, absl::string_view rest = "") {
  return RefusalOf(
      absl::StrCat("name: e\nmodel: tiny-q8_0\nworkloads:\n  speed: ", workload, "\n", rest));
}

TEST(Throughput, HasTheDefaultsOfLlamaBench) {
  const Expansion e =
      Expanded("name: e\nmodel: tiny-q8_0\nworkloads: {speed: {kind: throughput}}\n");
  ASSERT_EQ(e.cells.size(), 1u);
  const v1::JobSpec& spec = e.cells[0].spec;
  ASSERT_TRUE(spec.has_throughput());
  EXPECT_EQ(spec.throughput().n_prompt(), 512);
  EXPECT_EQ(spec.throughput().n_gen(), 128);
  EXPECT_FALSE(spec.throughput().has_threads());
  EXPECT_FALSE(spec.throughput().has_n_depth());
  EXPECT_EQ(spec.model().name(), "tiny-q8_0");
}

TEST(Throughput, TakesEveryOption) {
  const Expansion e = Expanded(
      "name: e\nmodel: tiny-q8_0\nworkloads:\n  speed:\n    kind: throughput\n    engine: "
      "llama.cpp\n    threads: 3\n    options: {n_prompt: 16, n_gen: 0, n_depth: 64, batch: 256, "
      "ubatch: 128, cache_type_k: q8_0, cache_type_v: f16, gpu_layers: 7, flash_attn: auto}\n");
  ASSERT_EQ(e.cells.size(), 1u);
  const v1::ThroughputSpec& spec = e.cells[0].spec.throughput();
  EXPECT_EQ(spec.ShortDebugString(),
            "n_prompt: 16 n_depth: 64 threads: 3 batch: 256 ubatch: 128 cache_type_k: \"q8_0\" "
            "cache_type_v: \"f16\" gpu_layers: 7 flash_attn: \"auto\"");
}

TEST(Throughput, EveryOptionIsAFactor) {
  const Expansion e = Expanded(
      "name: e\nmodel: tiny-q8_0\nworkloads: {speed: {kind: throughput}}\nmatrix:\n"
      "  threads: [1, 2]\n  n_prompt: [64]\n  n_gen: [0]\n  n_depth: [0]\n  batch: [1]\n"
      "  ubatch: [1]\n  cache_type_k: [f16]\n  cache_type_v: [f16]\n  gpu_layers: [0]\n"
      "  flash_attn: [on, off]\n");
  ASSERT_EQ(e.cells.size(), 4u);
  EXPECT_EQ(e.cells[3].spec.throughput().threads(), 2);
  EXPECT_EQ(e.cells[3].spec.throughput().flash_attn(), "off");
  EXPECT_EQ(e.cells[3].spec.throughput().n_gen(), 0);
  EXPECT_EQ(e.cells[3].text,
            "threads=2,n_prompt=64,n_gen=0,n_depth=0,batch=1,ubatch=1,cache_type_k=f16,"
            "cache_type_v=f16,gpu_layers=0,flash_attn=off");
}

TEST(Throughput, SharesAMatrixWithGenerate) {
  constexpr char kText[] =
      "name: e\nworkloads:\n  speed: {kind: throughput, options: {n_prompt: 128, n_gen: 32}}\n"
      "  chat: {kind: generate}\nmatrix:\n  model: [tiny-f16, tiny-q8_0]\n  threads: [1]\n";
  const Expansion e = Expanded(kText);
  std::vector<std::string> cells;
  for (const Cell& cell : e.cells) cells.push_back(cell.text);
  EXPECT_THAT(cells, ElementsAre("workload=speed,model=tiny-f16,threads=1",
                                 "workload=speed,model=tiny-q8_0,threads=1",
                                 "workload=chat,model=tiny-f16,threads=1",
                                 "workload=chat,model=tiny-q8_0,threads=1"));
  EXPECT_EQ(e.cells[1].spec.throughput().threads(), 1);
  EXPECT_EQ(e.cells[2].spec.generate().threads(), 1);
  EXPECT_EQ(Expanded(kText).sha256, e.sha256);
}

TEST(Throughput, ErrorsNameThePlaceAndTheNearestKey) {
  EXPECT_EQ(ErrorOf("{kind: throughput, options: {n_promt: 1}}"),
            "exp.yaml:4:39: unknown option \"n_promt\"; did you mean \"n_prompt\"?");
  EXPECT_EQ(ErrorOf("{kind: throughput, options: {n_gen: -1}}"),
            "exp.yaml:4:46: n_gen must be at least 0 and at most 10000000; found -1");
  EXPECT_EQ(ErrorOf("{kind: throughput, prompts: [{set: short}]}"),
            "exp.yaml:4:29: prompts means nothing to this kind; it takes kind, engine, threads, "
            "options");
  EXPECT_EQ(ErrorOf("{kind: throughput, engine: openai}"),
            "exp.yaml:4:37: kind throughput runs llama-bench, so its engine is llama.cpp; found "
            "\"openai\"");
  EXPECT_EQ(ErrorOf("{kind: thoughput}"),
            "exp.yaml:4:17: workload kind \"thoughput\" is not in this version; did you mean "
            "\"throughput\"?");
  EXPECT_EQ(ErrorOf("{kind: throughput}", "matrix: {n_promp: [1]}\n"),
            "exp.yaml:5:10: matrix key \"n_promp\" means nothing to workload \"speed\" of kind "
            "throughput; did you mean \"n_prompt\"?");
}

TEST(Throughput, NothingToMeasureIsAnError) {
  EXPECT_EQ(ErrorOf("{kind: throughput, options: {n_prompt: 0, n_gen: 0}}"),
            "exp.yaml:4:59: n_prompt and n_gen are both 0, so nothing would be measured; set one "
            "of them, or exclude the cell");
  EXPECT_EQ(ErrorOf("{kind: throughput, options: {n_prompt: 0}}", "matrix: {n_gen: [8, 0]}\n"),
            "exp.yaml:4:3: cell n_gen=0: n_prompt and n_gen are both 0, so nothing would be "
            "measured; set one of them, or exclude the cell");
}

TEST(Throughput, NeedsAModel) {
  const auto expansion = ExpandYaml("name: e\nworkloads: {speed: {kind: throughput}}\n", "exp.yaml",
                                    {}, FakeCatalogue());
  EXPECT_EQ(expansion.status().message(),
            "exp.yaml:2:13: workload \"speed\" needs a model; write model: NAME, or list models in "
            "the matrix");
}

}  // namespace
}  // namespace joulefarm
