// What people write: experiments, and YAML for any message.
#include <string>
#include <vector>

#include "common/config/yaml_proto.h"
#include "common/experiment/expand.h"
#include "joulefarm/config/v1/agent.pb.h"
#include "joulefarm/config/v1/experiment.pb.h"
#include "tests/common/config/every_style.h"
#include "tests/common/experiment/fake_catalogue.h"
#include "tests/common/experiment/sound_expansion.h"
#include "tests/fuzz/target.h"

namespace joulefarm::fuzz {
namespace {

void CheckRefusal(const absl::Status& status) {
  Must(absl::IsInvalidArgument(status) || absl::IsNotFound(status),
       "a refusal is the writer's:", status.ToString());
  Must(status.message().substr(0, 2) == "f:", "a refusal says where:", status.message());
}

template <typename Message>
void RunYaml(InputView input) {
  Message message;
  SourceMap source;
  const absl::Status status = ParseYaml(TextIn(input), "f", &message, &source);
  if (!status.ok()) return CheckRefusal(status);
  // Whatever was taken up can be sent on: proto3 texts must be UTF-8.
  std::string bytes;
  Must(message.SerializeToString(&bytes) && Message().ParseFromString(bytes),
       "what was taken up can be sent on");
}

void RunExperiment(InputView input) {
  static const FakeCatalogue catalogue;
  const auto expansion = ExpandYaml(TextIn(input), "f", {}, catalogue);
  if (!expansion.ok()) return CheckRefusal(expansion.status());
  const std::string unsound = UnsoundIn(*expansion);
  Must(unsound.empty(), "what is accepted can be done:", unsound);
  const auto again = ExpandYaml(TextIn(input), "g", {}, catalogue);
  Must(again.ok() && again->sha256 == expansion->sha256, "the same file has the same hash");
}

constexpr char kAgent[] =
    "controller: \"10.0.0.5:7070\"\nlabels: {lab: north}\nsimulated_power: {idle_w: 3, busy_w: "
    "12}\n";

}  // namespace

std::vector<Target> ConfigTargets() {
  const std::vector<std::string> words = {
      "[",           "]",      "{",     "}",       ":",        ", ",        "\n",
      "  ",          "- ",     "\"",    "'",       "|",        ">",         "&a ",
      "*a",          "!!str ", "#",     "?",       "%",        "0",         "-1",
      "1e99",        "~",      ".nan",  "---\n",   "<<",       "\t",        "\xFF",
      "é",           "\\x",    "model", "threads", "workload", "tiny-q8_0", "{model.name}",
      "99999999999", "a"};
  return {
      {.name = "yaml",
       .run = RunYaml<config::v1::Experiment>,
       .seeds = {InputOf(kEveryStyle)},
       .words = words},
      {.name = "yaml-agent",
       .run = RunYaml<config::v1::AgentConfig>,
       .seeds = {InputOf(kAgent)},
       .words = words},
      {.name = "experiment",
       .run = RunExperiment,
       .seeds = {InputOf(kSmallExperiment)},
       .words = words},
  };
}

}  // namespace joulefarm::fuzz
