// Farm: meters and switchable ports, who needs them, and who has them. docs/states.md has the
// rules; which meter is whose: farm_meters.cc; which ports are one: farm_ports.cc.
#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

// A label of an announcement: the fence of the attempt for which its agent uses the resource.
constexpr char kUsedBy[] = "attempt";

bool IsHeld(v1::DeviceAlloc alloc) {
  return alloc == v1::DEVICE_ALLOC_OFFERED || alloc == v1::DEVICE_ALLOC_LEASED;
}

template <typename Channels>
bool HasChannel(const Channels& channels, const std::string& name) {
  return std::any_of(channels.begin(), channels.end(),
                     [&](const v1::ChannelInfo& channel) { return channel.name() == name; });
}

// Of the channel, or of the fastest; 0: not known.
double RateOf(const Resource& meter, const std::string& channel) {
  double rate = 0;
  for (const v1::ChannelInfo& of : meter.channels) {
    if (channel.empty() || of.name() == channel) rate = std::max(rate, of.nominal_hz());
  }
  return rate;
}

}  // namespace

void Farm::AdoptResources(AgentState& agent, const v1::Hello& hello, v1::Welcome& welcome) {
  std::set<std::string> announced;
  for (const v1::ResourceAnnouncement& said : hello.resources()) {
    const std::string refusal = AdoptResource(agent, said);
    if (refusal.empty()) {
      announced.insert(said.resource_id());
    } else {
      (*welcome.mutable_refused_resources())[said.resource_id()] = refusal;
    }
  }
  for (const std::string& id : agent.resources) {
    if (announced.count(id) > 0) continue;
    Resource& resource = resources_[id];
    resource.link = v1::DEVICE_LINK_OFFLINE;
    PlacePort(resource);
    Put(resource);
  }
}

// Why it is refused; empty: it is taken as it was said to be.
std::string Farm::AdoptResource(AgentState& agent, const v1::ResourceAnnouncement& said) {
  const std::string& id = said.resource_id();
  const auto known = resources_.find(id);
  if (known != resources_.end() && known->second.agent_id != agent.info.id) {
    const Resource& other = known->second;
    // Who can use it has it: the other one may have seen it being unplugged.
    const bool moved = !other.obstacle.empty() && said.obstacle().empty() && !IsHeld(other.alloc);
    if (other.link != v1::DEVICE_LINK_OFFLINE && !moved) {
      const std::string why =
          absl::StrCat("resource \"", id, "\" already belongs to agent \"", other.agent_id,
                       "\": unplug one of the two, they cannot be told apart");
      Tell("resource", id, absl::StrCat("refused from agent ", agent.info.id, ": ", why));
      return why;
    }
    agents_[other.agent_id].resources.erase(id);
  }
  agent.resources.insert(id);
  Resource& resource = resources_[id];
  resource.id = id;
  resource.agent_id = agent.info.id;
  resource.kind = said.kind();
  resource.link = v1::DEVICE_LINK_ONLINE;
  resource.model = said.model();
  resource.serial.reset();
  if (said.has_serial()) resource.serial = said.serial();
  resource.place = said.place();
  resource.channels = {said.channels().begin(), said.channels().end()};
  resource.obstacle = said.obstacle();
  resource.labels = {said.labels().begin(), said.labels().end()};
  const auto used_by = resource.labels.find(kUsedBy);
  Fence fence = 0;
  const bool used = used_by != resource.labels.end() && absl::SimpleAtoi(used_by->second, &fence);
  if (used_by != resource.labels.end()) resource.labels.erase(used_by);
  PlacePort(resource);
  Put(resource);
  // Its agent's word; of an attempt that holds it now it says nothing.
  PutResource(resource, used ? DeviceEvent::kReportedDirty : DeviceEvent::kReportedClean);
  return "";
}

void Farm::On(const ResourceReported& input) {
  AgentState* agent = AgentOf(input.session);
  if (agent == nullptr) return;
  // Those around its devices before and after: what they wait for may have gone elsewhere.
  std::set<std::string> waiting = WaitingOn(*agent);
  for (const v1::ResourceAnnouncement& said : input.report.resources()) AdoptResource(*agent, said);
  waiting.merge(WaitingOn(*agent));
  DispatchInTurn(waiting);
}

// The devices that may wait for something of the agent.
std::set<std::string> Farm::WaitingOn(const AgentState& agent) const {
  std::set<std::string> waiting = agent.devices;
  waiting.insert(agent.metered.begin(), agent.metered.end());
  for (const std::string& device : agent.devices) waiting.merge(AroundOf(devices_.at(device)));
  return waiting;
}

// One whose agent is out of reach is over at a deadline, if at all, and not when it is done.
Until Farm::UntilOver(std::optional<Fence> fence) const {
  const auto attempt = attempts_.find(fence.value_or(0));
  const bool works = attempt != attempts_.end() && attempt->second.link == v1::DEVICE_LINK_ONLINE;
  return works ? Until::kWorkEnds : Until::kPassed;
}

std::optional<Trouble> Farm::TroubleWith(const Resource& resource, const Device& device) const {
  const auto trouble = [&](Until until, const auto&... parts) {
    return Trouble{absl::StrCat(resource.id, " ", parts...), until};
  };
  if (resource.admin != v1::DEVICE_ADMIN_ENABLED ||
      resource.health == v1::DEVICE_HEALTH_QUARANTINED) {
    return trouble(Until::kMended, "is taken out of use");
  }
  if (resource.link == v1::DEVICE_LINK_OFFLINE) {
    const bool gone = agents_.at(resource.agent_id).info.link == v1::DEVICE_LINK_ONLINE;
    return trouble(Until::kMended,
                   gone ? "is no longer on agent " : "is out of reach with its agent ",
                   resource.agent_id);
  }
  if (!resource.obstacle.empty())
    return trouble(Until::kMended, "cannot be used: ", resource.obstacle);
  if (resource.link != v1::DEVICE_LINK_ONLINE)
    return trouble(Until::kPassed, "is just out of sight with its agent ", resource.agent_id);
  if (IsHeld(resource.alloc))
    return trouble(UntilOver(resource.fence), "is in use by attempt ", resource.fence.value_or(0));
  if (resource.alloc == v1::DEVICE_ALLOC_DIRTY)
    return trouble(Until::kPassed, "is not yet given back by its agent ", resource.agent_id);
  // What another device draws through the meter would be taken for this one's, and a device whose
  // port is cut loses its power.
  const bool is_port = resource.kind == v1::RESOURCE_KIND_PORT;
  if (!is_port && resource.kind != v1::RESOURCE_KIND_METER) return std::nullopt;
  for (const std::string& id : is_port ? OnPortOf(device) : SharersOf(device)) {
    const Device& other = devices_.at(id);
    if (IsHeld(other.alloc))
      return trouble(UntilOver(other.fence), "also carries device ", id, ", which is at work");
    if (other.alloc != v1::DEVICE_ALLOC_DIRTY || other.admin == v1::DEVICE_ADMIN_RETIRED) continue;
    return trouble(other.link == v1::DEVICE_LINK_OFFLINE ? Until::kMended : Until::kPassed,
                   "also carries device ", id, ", which may still be at work: its agent ",
                   other.agent_id, " has not said that it is clean");
  }
  return std::nullopt;
}

Gang Farm::Assemble(const Device& device, const Need& need) const {
  Gang gang;
  if (const auto trouble = PortTroubleOf(device)) gang.Block("waits: ", *trouble);
  if (gang.blocked.empty()) AddMeter(device, need, gang);
  if (gang.blocked.empty() && need.cut_usb && !device.port.empty()) AddPort(device, gang);
  return gang;
}

void Farm::AddMeter(const Device& device, const Need& need, Gang& gang) const {
  std::string why;
  const Resource* meter = FindMeter(device, why);
  if (meter == nullptr && why.empty()) return;
  // A channel asked for by name may be one of the device's own.
  const bool others = !need.channel.empty() &&
                      (meter != nullptr ? !HasChannel(meter->channels, need.channel)
                                        : HasChannel(device.facts.power_channels(), need.channel));
  if (need.power != v1::POWER_REQUIRE_NONE && !others) {
    const std::string channel = need.channel.empty() ? device.meter->channel() : need.channel;
    std::optional<Trouble> trouble =
        meter == nullptr ? Trouble{why, Until::kMended} : TroubleWith(*meter, device);
    if (!trouble.has_value()) {
      const double rate = RateOf(*meter, channel);
      if (rate > 0 && rate < need.min_rate_hz) {
        trouble =
            Trouble{absl::StrCat(meter->id, " gives at most ", rate,
                                 " samples per second, and the job asks for ", need.min_rate_hz),
                    Until::kMended};
      }
    }
    if (!trouble.has_value()) {
      AddResource(device, *meter, channel, gang);
      return;
    }
    if (need.power == v1::POWER_REQUIRE_REQUIRED || trouble->until != Until::kMended) {
      gang.Block("waits for its meter: ", *trouble);
      return;
    }
    gang.left_out = trouble->why;
  }
  // Without the meter, but not while another device is measured through it.
  if (meter != nullptr && IsHeld(meter->alloc)) {
    gang.Block("waits: ", {absl::StrCat(meter->id, " measures another device (attempt ",
                                        meter->fence.value_or(0), ")"),
                           UntilOver(meter->fence)});
  }
}

void Farm::AddResource(const Device& device, const Resource& resource, const std::string& channel,
                       Gang& gang) const {
  int source = 0;
  if (resource.agent_id != device.agent_id) {
    int highest = 0;
    for (const v1::GrantedResource& before : gang.resources) {
      highest = std::max(highest, before.source());
      if (before.agent_id() == resource.agent_id) source = before.source();
    }
    if (source == 0) source = highest + 1;
  }
  v1::GrantedResource& granted = gang.resources.emplace_back();
  granted.set_resource_id(resource.id);
  granted.set_agent_id(resource.agent_id);
  granted.set_source(source);
  granted.set_channel(channel);
}

// Those of one source, or all.
void Farm::TakeResources(const Attempt& attempt, DeviceEvent event, std::optional<int> source) {
  for (const v1::GrantedResource& granted : attempt.resources) {
    const auto it = resources_.find(granted.resource_id());
    if (it == resources_.end() || granted.source() != source.value_or(granted.source())) continue;
    if (IsHeld(it->second.alloc) && it->second.fence != attempt.fence) continue;
    it->second.fence = attempt.fence;
    PutResource(it->second, event);
  }
}

// The word of the agent that used it is its last word on the attempt.
void Farm::ReleaseResources(const Attempt& attempt, bool device_agent_said) {
  for (const v1::GrantedResource& granted : attempt.resources) {
    const auto it = resources_.find(granted.resource_id());
    if (it == resources_.end() || it->second.fence != attempt.fence) continue;
    bool said = granted.source() == 0 && device_agent_said;
    for (const Helper& helper : attempt.helpers) {
      if (helper.source == granted.source())
        said = IsTerminal(helper.state) && helper.state != v1::ATTEMPT_STATE_LOST;
    }
    PutResource(it->second, said ? DeviceEvent::kReleasedClean : DeviceEvent::kReleasedDirty);
    // What was said of it while it was held did not count. The agent of the device says it by
    // itself when it loses an attempt.
    if (it->second.alloc == v1::DEVICE_ALLOC_DIRTY && it->second.agent_id != attempt.agent_id)
      SendRelease(it->second.agent_id, attempt.fence, granted.source());
  }
}

void Farm::PutResource(Resource& resource, DeviceEvent event) {
  const auto next = Next(resource.alloc, event);
  if (!next.has_value()) return;
  resource.alloc = *next;
  if (!IsHeld(*next)) resource.fence.reset();
  Put(resource);
}

}  // namespace joulefarm::controller
