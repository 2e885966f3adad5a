#include "common/experiment/expand.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/experiment/fake_catalogue.h"
#include "tests/common/experiment/sound_expansion.h"

namespace joulefarm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kSecond = 1'000'000'000;

Expansion Expanded(absl::string_view text, const std::vector<std::string>& set = {},
                   const FakeCatalogue& catalogue = FakeCatalogue()) {
  auto expansion = ExpandYaml(text, "exp.yaml", set, catalogue);
  EXPECT_TRUE(expansion.ok()) << expansion.status();
  return expansion.ok() ? *std::move(expansion) : Expansion();
}

std::vector<std::string> Texts(const Expansion& expansion) {
  std::vector<std::string> texts;
  for (const Cell& cell : expansion.cells) texts.push_back(cell.text);
  return texts;
}

// The reference file of the design page without its second workload (and the model, which is in the
// matrix too).
constexpr char kReference[] = R"(name: quant-sweep
tenant: default
workloads:                  # one or more, by name
  chat:
    kind: generate
    engine: llama.cpp
    prompts: [{text: "…"}]
    max_tokens: 64
    options: {temperature: 0.0, top_k: 1, ctx: 2048, ignore_eos: true}
matrix:                     # cartesian product → cells
  model: [tiny-f16, tiny-q8_0, tiny-q4_k_m]
  threads: [1, 2]
exclude: [{model: tiny-f16, threads: 1}]
devices: {selector: "os=linux,ram_mib>=1024", count: all}
blocks: 1
seed: 42
repetitions: 3
warmup: 1
power: {require: optional, channel: "", min_rate_hz: 0}
gates: {max_temp_c: 45, min_battery_pct: 30}
plan: {settle: 30s, idle: 10s, pause: 2s, tail: 5s}
limits: {queue: 24h, prepare: 10m, run: 30m, total: 2h}
priority: normal
retries: 2
lost_after: 10m
on_disconnect: continue
)";

constexpr char kMinimal[] =
    "name: m\n"
    "model: tiny-q8_0\n"
    "workloads: {chat: {kind: generate}}\n";

TEST(Expand, TheReferenceFile) {
  const Expansion e = Expanded(kReference);
  EXPECT_EQ(e.name, "quant-sweep");
  EXPECT_EQ(e.tenant, "default");
  EXPECT_EQ(e.selector_text, "os=linux,ram_mib>=1024");
  EXPECT_EQ(e.selector.predicates().size(), 2u);
  EXPECT_EQ(e.count, std::nullopt);
  EXPECT_EQ(e.gates.max_temp_c(), 45);
  EXPECT_THAT(Texts(e), ElementsAre("model=tiny-f16,threads=2", "model=tiny-q8_0,threads=1",
                                    "model=tiny-q8_0,threads=2", "model=tiny-q4_k_m,threads=1",
                                    "model=tiny-q4_k_m,threads=2"));
  const v1::JobSpec& spec = e.cells[1].spec;
  EXPECT_EQ(spec.cell(), e.cells[1].text);
  EXPECT_EQ(spec.workload(), "chat");
  EXPECT_EQ(spec.model().name(), "tiny-q8_0");
  EXPECT_EQ(spec.model().sha256(), Sha256Hex("tiny-q8_0"));
  EXPECT_EQ(spec.model().quant(), "Q8_0");
  ASSERT_EQ(spec.params_size(), 2);
  EXPECT_EQ(spec.params(0).key(), "model");
  EXPECT_EQ(spec.params(0).json(), "\"tiny-q8_0\"");
  EXPECT_EQ(spec.params(1).key(), "threads");
  EXPECT_EQ(spec.params(1).json(), "1");
  EXPECT_EQ(spec.generate().threads(), 1);
  EXPECT_EQ(spec.generate().prompts(0).text(), "…");
  EXPECT_EQ(spec.experiment(), "");
  EXPECT_EQ(spec.block(), 0);
  EXPECT_TRUE(IsSha256Hex(e.sha256));
  for (const Cell& cell : e.cells) EXPECT_EQ(cell.spec.experiment_sha256(), e.sha256);
  EXPECT_EQ(spec.gates().max_temp_c(), 45);
  EXPECT_EQ(spec.gates().min_battery_pct(), 30);
  EXPECT_FALSE(spec.gates().has_max_background_cpu());
  EXPECT_FALSE(spec.gates().has_not_charging());
  EXPECT_THAT(e.warnings, IsEmpty());
}

TEST(Expand, GatesAndTheWishedChannelReachEveryCell) {
  const Expansion e =
      Expanded(kReference, {"gates={not_charging: true, max_background_cpu: 0.2}",
                            "power={require: required, channel: VDD_IN, min_rate_hz: 5}"});
  ASSERT_FALSE(e.cells.empty());
  for (const Cell& cell : e.cells) {
    EXPECT_FALSE(cell.spec.gates().has_max_temp_c());
    EXPECT_TRUE(cell.spec.gates().not_charging());
    EXPECT_EQ(cell.spec.gates().max_background_cpu(), 0.2);
    EXPECT_EQ(cell.spec.power_channel(), "VDD_IN");
    EXPECT_EQ(cell.spec.min_rate_hz(), 5);
  }
  EXPECT_THAT(e.warnings, IsEmpty());
  EXPECT_FALSE(Expanded(kMinimal).cells[0].spec.has_gates());
}

TEST(Expand, DefaultsAreThoseOfTheReference) {
  const Expansion e = Expanded(kMinimal);
  EXPECT_EQ(e.tenant, "default");
  EXPECT_EQ(e.seed, 42);
  EXPECT_EQ(e.blocks, 1);
  EXPECT_EQ(e.priority, 2);
  EXPECT_EQ(e.retries, 2);
  EXPECT_EQ(e.lost_after_ns, 600 * kSecond);
  EXPECT_EQ(e.selector_text, "");
  EXPECT_EQ(e.count, std::nullopt);
  EXPECT_EQ(e.power.require(), "optional");
  EXPECT_THAT(e.warnings, IsEmpty());
  ASSERT_EQ(e.cells.size(), 1u);
  const v1::JobSpec& spec = e.cells[0].spec;
  EXPECT_EQ(spec.repetitions(), 3);
  EXPECT_EQ(spec.warmup(), 1);
  EXPECT_EQ(spec.power(), v1::POWER_REQUIRE_OPTIONAL);
  EXPECT_EQ(spec.plan().settle_ns(), 30 * kSecond);
  EXPECT_EQ(spec.plan().idle_ns(), 10 * kSecond);
  EXPECT_EQ(spec.plan().pause_ns(), 2 * kSecond);
  EXPECT_EQ(spec.plan().tail_ns(), 5 * kSecond);
  EXPECT_EQ(spec.limits().queue_ns(), 86400 * kSecond);
  EXPECT_EQ(spec.limits().prepare_ns(), 600 * kSecond);
  EXPECT_EQ(spec.limits().run_ns(), 1800 * kSecond);
  EXPECT_EQ(spec.limits().total_ns(), 7200 * kSecond);
  EXPECT_EQ(spec.on_disconnect(), v1::ON_DISCONNECT_CONTINUE);
  const v1::GenerateSpec& generate = spec.generate();
  EXPECT_EQ(generate.engine(), "llama.cpp");
  EXPECT_EQ(generate.max_tokens(), 64);
  EXPECT_TRUE(generate.has_temperature());
  EXPECT_EQ(generate.temperature(), 0);
  EXPECT_EQ(generate.top_k(), 1);
  EXPECT_EQ(generate.ctx(), 2048);
  EXPECT_TRUE(generate.ignore_eos());
  EXPECT_FALSE(generate.has_threads());
  EXPECT_FALSE(generate.has_top_p());
  EXPECT_FALSE(generate.has_seed());
  EXPECT_FALSE(generate.has_gpu_layers());
  EXPECT_EQ(generate.prompts_size(), 1);
}

TEST(Expand, EveryKeyReachesTheJob) {
  const Expansion e = Expanded(
      kMinimal, {"workloads.chat.threads=3", "workloads.chat.max_tokens=7",
                 "workloads.chat.options={temperature: 0.5, top_k: 2, "
                 "top_p: 0.25, ctx: 99, ignore_eos: false, seed: -1, "
                 "batch: 16, ubatch: 8, gpu_layers: 4, flash_attn: on, "
                 "cache_type_k: q8_0, cache_type_v: f16}",
                 "repetitions=5", "warmup=0", "on_disconnect=stop", "power.require=required",
                 "priority=background", "retries=0", "lost_after=1m", "seed=-7", "blocks=4",
                 "devices.count=2", "tenant=lab", "limits.run=90s"});
  EXPECT_EQ(e.priority, 4);
  EXPECT_EQ(e.retries, 0);
  EXPECT_EQ(e.lost_after_ns, 60 * kSecond);
  EXPECT_EQ(e.seed, -7);
  EXPECT_EQ(e.blocks, 4);
  EXPECT_EQ(e.count, 2);
  EXPECT_EQ(e.tenant, "lab");
  const v1::JobSpec& spec = e.cells.at(0).spec;
  EXPECT_EQ(spec.repetitions(), 5);
  EXPECT_EQ(spec.warmup(), 0);
  EXPECT_EQ(spec.on_disconnect(), v1::ON_DISCONNECT_STOP);
  EXPECT_EQ(spec.power(), v1::POWER_REQUIRE_REQUIRED);
  EXPECT_EQ(spec.limits().run_ns(), 90 * kSecond);
  const v1::GenerateSpec& g = spec.generate();
  EXPECT_EQ(g.threads(), 3);
  EXPECT_EQ(g.max_tokens(), 7);
  EXPECT_EQ(g.temperature(), 0.5);
  EXPECT_EQ(g.top_k(), 2);
  EXPECT_EQ(g.top_p(), 0.25);
  EXPECT_EQ(g.ctx(), 99);
  EXPECT_FALSE(g.ignore_eos());
  EXPECT_TRUE(g.has_ignore_eos());
  EXPECT_EQ(g.seed(), -1);
  EXPECT_EQ(g.batch(), 16);
  EXPECT_EQ(g.ubatch(), 8);
  EXPECT_EQ(g.gpu_layers(), 4);
  EXPECT_EQ(g.flash_attn(), "on");
  EXPECT_EQ(g.cache_type_k(), "q8_0");
  EXPECT_EQ(g.cache_type_v(), "f16");
}

TEST(Expand, WithoutPowerNothingIsWaitedFor) {
  const Expansion e = Expanded(kMinimal, {"power.require=none", "plan.settle=30s"});
  const v1::PlanSpec& plan = e.cells.at(0).spec.plan();
  EXPECT_EQ(plan.settle_ns(), 0);
  EXPECT_EQ(plan.idle_ns(), 0);
  EXPECT_EQ(plan.tail_ns(), 0);
  EXPECT_EQ(plan.pause_ns(), 2 * kSecond);
}

TEST(Expand, CellsAreNeverNameless) {
  EXPECT_THAT(Texts(Expanded(kMinimal)), ElementsAre("model=tiny-q8_0"));
  EXPECT_THAT(Texts(Expanded("name: c\nworkloads: {w: {kind: command, command: [a]}}")),
              ElementsAre("workload=w"));
}

TEST(Expand, CellsMultiplyOverWorkloads) {
  const char* two =
      "name: t\n"
      "model: tiny-f16\n"
      "workloads: {b: {kind: generate}, a: {kind: generate, max_tokens: 8}}\n";
  EXPECT_THAT(Texts(Expanded(two)), ElementsAre("workload=b", "workload=a"));
  const Expansion e = Expanded(two, {"matrix.threads=[1, 2]"});
  EXPECT_THAT(Texts(e), ElementsAre("workload=b,threads=1", "workload=b,threads=2",
                                    "workload=a,threads=1", "workload=a,threads=2"));
  EXPECT_EQ(e.cells[2].workload, "a");
  EXPECT_EQ(e.cells[2].spec.generate().max_tokens(), 8);
  EXPECT_EQ(e.cells[2].spec.params(0).json(), "\"a\"");
  // Where the file says `workload`, its place is kept.
  EXPECT_THAT(Texts(Expanded(two, {"matrix={threads: [1], workload: [a, b]}"})),
              ElementsAre("threads=1,workload=a", "threads=1,workload=b"));
  const Expansion one = Expanded(two, {"matrix={workload: [a]}"});
  EXPECT_THAT(Texts(one), ElementsAre("workload=a"));
  EXPECT_THAT(one.warnings,
              ElementsAre("exp.yaml:3:13: workload \"b\" is not in the matrix and not run"));
  EXPECT_THAT(Texts(Expanded(two, {"matrix={threads: [1, 2]}", "exclude=[{workload: b}]"})),
              ElementsAre("workload=a,threads=1", "workload=a,threads=2"));
}

TEST(Expand, CommandsGetTheirFactors) {
  const Expansion e = Expanded(
      "name: c\n"
      "model: tiny-f16\n"
      "workloads:\n"
      "  w: {kind: command, command: [prog, \"-t{threads}\", \"{ver}\", \"{model.name}\", "
      "\"{model.path}\", \"{other}\"]}\n"
      "matrix: {threads: [0x2], ver: [1.10, \"a,b\", \"\"]}\n");
  EXPECT_THAT(Texts(e), ElementsAre("threads=0x2,ver=1.10", "threads=0x2,ver=\"a,b\"",
                                    "threads=0x2,ver=\"\""));
  EXPECT_THAT(e.cells[0].spec.command().argv(),
              ElementsAre("prog", "-t0x2", "1.10", "tiny-f16", "{model.path}", "{other}"));
  EXPECT_EQ(e.cells[0].spec.params(0).json(), "2");
  EXPECT_EQ(e.cells[0].spec.params(1).json(), "1.1");
  EXPECT_EQ(e.cells[1].spec.params(1).json(), "\"a,b\"");
  EXPECT_EQ(e.cells[0].spec.model().sha256(), Sha256Hex("tiny-f16"));
}

TEST(Expand, CommandsNeedNoModel) {
  const Expansion e = Expanded("name: c\nworkloads: {w: {kind: command, command: [a, \"{b}\"]}}");
  EXPECT_FALSE(e.cells.at(0).spec.has_model());
}

TEST(Expand, FactorsOfGenerateAreTypedByTheirField) {
  const Expansion e = Expanded(
      kMinimal,
      {"matrix={temperature: [0, 0.50], ctx: [0x400], ignore_eos: [True], flash_attn: [on]}"});
  EXPECT_THAT(Texts(e), ElementsAre("temperature=0,ctx=1024,ignore_eos=true,flash_attn=on",
                                    "temperature=0.5,ctx=1024,ignore_eos=true,flash_attn=on"));
  EXPECT_EQ(e.cells[1].spec.params(1).json(), "1024");
  EXPECT_EQ(e.cells[1].spec.params(2).json(), "true");
  EXPECT_EQ(e.cells[1].spec.params(3).json(), "\"on\"");
  EXPECT_EQ(e.cells[1].spec.generate().ctx(), 1024);
  EXPECT_EQ(e.cells[1].spec.generate().temperature(), 0.5);
}

TEST(Expand, PromptsComeFromAllSources) {
  const Expansion e = Expanded(
      kMinimal, {"workloads.chat.prompts=[{text: Hi}, {set: mixed}, {artifact: two-prompts}]"});
  const auto& prompts = e.cells.at(0).spec.generate().prompts();
  ASSERT_EQ(prompts.size(), 8);
  EXPECT_EQ(prompts[0].text(), "Hi");
  EXPECT_EQ(prompts[6].text(), "One");
  EXPECT_EQ(prompts[7].text(), "Two");
}

TEST(Expand, HashIgnoresHowTheFileIsWritten) {
  const std::string hash = Expanded(kReference).sha256;
  EXPECT_EQ(Expanded(absl::StrCat("# a comment\n\n", kReference, "\n# more\n")).sha256, hash);
  auto renamed = ExpandYaml(kReference, "other.yaml", {}, FakeCatalogue());
  ASSERT_TRUE(renamed.ok());
  EXPECT_EQ(renamed->sha256, hash);
  // Defaults written out or not, order of top-level keys, spelling of numbers.
  EXPECT_EQ(Expanded(kMinimal).sha256,
            Expanded("workloads: {'chat': {options: {ctx: 0x800}, kind: \"generate\"}}\n"
                     "model: tiny-q8_0\nretries: 2\nname: m\nplan: {settle: 0.5m}\n")
                .sha256);
}

TEST(Expand, HashTellsDifferentExperimentsApart) {
  std::set<std::string> hashes = {Expanded(kReference).sha256};
  const std::vector<std::string> changes = {"name=other",
                                            "tenant=other",
                                            "seed=1",
                                            "blocks=2",
                                            "repetitions=4",
                                            "warmup=0",
                                            "priority=high",
                                            "retries=1",
                                            "lost_after=9m",
                                            "on_disconnect=stop",
                                            "devices.selector=",
                                            "devices.count=3",
                                            "power.require=none",
                                            "power.channel=usb",
                                            "power.min_rate_hz=5",
                                            "gates.max_temp_c=40",
                                            "plan.pause=3s",
                                            "limits.run=1m",
                                            "matrix.threads=[2, 1]",
                                            "workloads.chat.max_tokens=65",
                                            "workloads.chat.prompts=[{text: other}]",
                                            "workloads.chat.options.ctx=1024"};
  for (const std::string& change : changes) {
    EXPECT_TRUE(hashes.insert(Expanded(kReference, {change}).sha256).second) << change;
  }
  FakeCatalogue changed;
  changed.models["tiny-f16"].set_sha256(Sha256Hex("new content"));
  EXPECT_TRUE(hashes.insert(Expanded(kReference, {}, changed).sha256).second);
}

TEST(Expand, HashNeverChanges) {
  // Stored experiments are found by it.
  EXPECT_EQ(Expanded(kMinimal).sha256,
            "4c74637004c42952367bb849515b522167068e3a1eac3304f640152b86675299");
}

TEST(Expand, CellsAreTheProductWithoutTheExcluded) {
  for (int a = 1; a <= 4; ++a) {
    for (int b = 1; b <= 4; ++b) {
      for (int excluded = 0; excluded < a; ++excluded) {
        std::string text = absl::StrCat(kMinimal, "matrix: {threads: [");
        for (int i = 1; i <= a; ++i) absl::StrAppend(&text, i, ",");
        absl::StrAppend(&text, "], ctx: [");
        for (int i = 1; i <= b; ++i) absl::StrAppend(&text, i, ",");
        absl::StrAppend(&text, "], top_k: [1, 2]}\nexclude: [");
        // Twice, which counts once.
        for (int i = 1; i <= excluded; ++i) {
          absl::StrAppend(&text, "{threads: ", i, ", ctx: 1}, {ctx: 1, threads: ", i, "},");
        }
        const Expansion e = Expanded(text + "]\n");
        const std::vector<std::string> texts = Texts(e);
        EXPECT_EQ(texts.size(), static_cast<size_t>((a * b - excluded) * 2));
        EXPECT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), texts.size());
        for (const Cell& cell : e.cells) {
          const auto& g = cell.spec.generate();
          EXPECT_EQ(cell.text,
                    absl::StrCat("threads=", g.threads(), ",ctx=", g.ctx(), ",top_k=", g.top_k()));
          EXPECT_FALSE(g.ctx() == 1 && g.threads() <= excluded);
        }
      }
    }
  }
}

TEST(Expand, ExactlyTheLimitOfCellsIsPossible) {
  std::string values;
  for (int i = 0; i < 50000; ++i) absl::StrAppend(&values, i, ",");
  const Expansion e =
      Expanded(absl::StrCat("name: big\nworkloads: {w: {kind: command, command: [a]}}\n",
                            "matrix: {a: [", values, "], b: [1, 2]}\n"));
  EXPECT_EQ(e.cells.size(), 100000u);
  EXPECT_EQ(e.cells.back().text, "a=49999,b=2");
}

// What tests/fuzz begins with.
TEST(Expand, ABitOfEverythingIsSound) {
  const Expansion expansion = Expanded(kSmallExperiment);
  EXPECT_EQ(UnsoundIn(expansion), "");
  EXPECT_EQ(expansion.cells.size(), 4U);
}

}  // namespace
}  // namespace joulefarm
