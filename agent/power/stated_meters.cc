#include "agent/power/stated_meters.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/power/meter/registry.h"

namespace joulefarm::agent {
namespace {

// Of one that cannot be found by itself there is no doubt; of the others those that it may be
// about.
std::vector<const FoundMeter*> Meant(const MeterSettings& settings, const FoundMeters& here) {
  std::vector<const FoundMeter*> meant;
  if (!settings.serial.empty() && settings.node.empty()) {
    meant = MetersNamed(settings.serial, here);
  } else {
    for (const FoundMeter& meter : here.meters) {
      if (settings.node.empty() || IsAtNode(meter, settings.node)) meant.push_back(&meter);
    }
  }
  if (!settings.model.empty()) {
    std::erase_if(meant,
                  [&](const FoundMeter* meter) { return meter->model->name != settings.model; });
  }
  return meant;
}

bool IsAbout(const MeterSettings& settings, const FoundMeter& meter, const FoundMeters& here) {
  const std::vector<const FoundMeter*> meant = Meant(settings, here);
  if (!settings.node.empty()) return std::find(meant.begin(), meant.end(), &meter) != meant.end();
  return meant.size() == 1 && meant[0] == &meter;
}

// "meters: {serial: A1} of the agent's configuration".
std::string Name(const MeterSettings& settings) {
  std::vector<std::string> parts;
  if (!settings.serial.empty()) parts.push_back(absl::StrCat("serial: ", settings.serial));
  if (!settings.model.empty()) parts.push_back(absl::StrCat("model: ", settings.model));
  return absl::StrCat("what meters: {", absl::StrJoin(parts, ", "),
                      "} of the agent's configuration states");
}

// Why no meter of that model is read without more being stated; empty: one may be.
std::string Unreadable(const std::string& name) {
  const MeterModel* model = FindMeterModel(name);
  if (model == nullptr)
    return absl::StrCat("there is no model \"", name, "\"; docs/meters.md lists them");
  if (!model->make_driver) {
    return absl::StrCat(model->title,
                        " is no meter to be stated: its sensors are found by themselves on the "
                        "device that has them, and text that somebody sent is read by "
                        "`joulefarm-agent meters decode ",
                        name, "`");
  }
  if (!model->match) {
    return absl::StrCat(model->title,
                        " cannot be found by itself; state its node, such as node: /dev/ttyUSB0");
  }
  return "";
}

std::string WhyUnused(const MeterSettings& settings, const FoundMeters& here) {
  if (!settings.model.empty()) {
    const std::string unreadable = Unreadable(settings.model);
    if (!unreadable.empty())
      return absl::StrCat(Name(settings), " is about no meter: ", unreadable);
  }
  const std::vector<const FoundMeter*> meant = Meant(settings, here);
  if (meant.size() == 1) return "";
  if (meant.size() > 1 && !settings.serial.empty())
    return absl::StrCat(Name(settings), " is not used: ", Ambiguous(settings.serial, meant));
  std::vector<std::string> texts;
  if (meant.size() > 1) {
    std::transform(meant.begin(), meant.end(), std::back_inserter(texts),
                   [](const FoundMeter* meter) { return Describe(*meter); });
    return absl::StrCat(Name(settings), " is not used, for ", meant.size(),
                        " meters are here: ", absl::StrJoin(texts, ", "),
                        "; name one of them, such as serial: ", KeyOf(*meant[0]));
  }
  std::transform(here.meters.begin(), here.meters.end(), std::back_inserter(texts), Describe);
  return absl::StrCat(Name(settings), " is about no meter here (there are: ",
                      texts.empty() ? "none" : absl::StrJoin(texts, ", "),
                      "); plug it in, or correct the configuration");
}

}  // namespace

const MeterSettings* StatedOf(const FoundMeter& meter, const FoundMeters& here,
                              const std::vector<MeterSettings>& stated) {
  // Of two that are about it, the one that names it.
  for (const bool by_name : {true, false}) {
    for (const MeterSettings& settings : stated) {
      const bool names = !settings.serial.empty() || !settings.node.empty();
      if (names == by_name && IsAbout(settings, meter, here)) return &settings;
    }
  }
  return nullptr;
}

std::vector<std::string> UnusedStatements(const FoundMeters& here,
                                          const std::vector<MeterSettings>& stated) {
  std::vector<std::string> unused;
  for (const MeterSettings& settings : stated) {
    // Those with a node are meters themselves, or have been refused.
    if (!settings.node.empty()) continue;
    std::string why = WhyUnused(settings, here);
    if (!why.empty()) unused.push_back(std::move(why));
  }
  return unused;
}

}  // namespace joulefarm::agent
