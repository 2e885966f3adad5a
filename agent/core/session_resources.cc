// Meters and ports of this host: who uses them, and what the controller is told of them.
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/session.h"

namespace joulefarm::agent {
namespace {

// The label that says for which attempt a resource is used now; docs/protocol.md.
constexpr char kUsedBy[] = "attempt";

}  // namespace

void Session::On(const ReleaseReceived& event) {
  if (!Hears(event.connection)) return;
  const Fence fence = event.release.fence();
  const auto it = attempts_.find(fence);
  if (it == attempts_.end()) {
    ReportNotHeld(fence);
    return;
  }
  const Attempt& attempt = it->second;
  if (attempt.stage == Stage::kFinished || attempt.grant.source() != event.release.source()) {
    // The word it gave when it ended may have come too early to count.
    ReportAllResources();
    return;
  }
  // Its resources are reported when it has ended.
  Stop(fence, StopWhy::kReleased, v1::FAILURE_CLASS_UNSPECIFIED, "the device is done");
}

void Session::On(const ResourcesChanged& event) {
  std::map<std::string, Resource> now;
  std::vector<std::string> changed;
  for (const v1::ResourceAnnouncement& announcement : event.resources) {
    const std::string& id = announcement.resource_id();
    const auto before = resources_.find(id);
    Resource& resource = now[id];
    if (before != resources_.end()) resource.refused = before->second.refused;
    resource.announcement = announcement;
    if (before == resources_.end() ||
        before->second.announcement.SerializeAsString() != announcement.SerializeAsString()) {
      changed.push_back(id);
    }
  }
  // What is gone stays known, with that as its obstacle, until a session begins without it.
  for (auto& [id, resource] : resources_) {
    if (now.contains(id)) continue;
    if (resource.announcement.obstacle().empty()) {
      resource.announcement.set_obstacle("it is not plugged in any more");
      // What is in that place now is another.
      resource.announcement.clear_place();
      changed.push_back(id);
    }
    now[id] = std::move(resource);
  }
  resources_ = std::move(now);
  ReportResources(changed);
}

bool Session::IsOurs(const v1::Grant& grant, const v1::GrantedResource& resource) const {
  return resource.source() == grant.source() && resource.agent_id() == options_.agent_id;
}

std::optional<Fence> Session::UserOf(const std::string& resource_id) const {
  for (const auto& [fence, attempt] : attempts_) {
    if (attempt.stage == Stage::kFinished) continue;
    for (const v1::GrantedResource& resource : attempt.grant.resources()) {
      if (resource.resource_id() == resource_id && IsOurs(attempt.grant, resource)) return fence;
    }
  }
  return std::nullopt;
}

v1::ResourceAnnouncement Session::Announce(const Resource& resource) const {
  v1::ResourceAnnouncement announcement = resource.announcement;
  if (const auto user = UserOf(announcement.resource_id()))
    (*announcement.mutable_labels())[kUsedBy] = absl::StrCat(*user);
  return announcement;
}

void Session::ReportResources(const std::vector<std::string>& ids) {
  if (link_ != Link::kOnline || ids.empty()) return;
  v1::AgentMessage message;
  for (const std::string& id : ids)
    *message.mutable_resource_report()->add_resources() = Announce(resources_.at(id));
  SendMessage(std::move(message));
}

void Session::ReportAllResources() {
  std::vector<std::string> all;
  for (const auto& [id, resource] : resources_) all.push_back(id);
  ReportResources(all);
}

void Session::ReportResourcesOf(const v1::Grant& grant) {
  std::vector<std::string> ids;
  for (const v1::GrantedResource& resource : grant.resources()) {
    if (IsOurs(grant, resource) && resources_.contains(resource.resource_id()))
      ids.push_back(resource.resource_id());
  }
  ReportResources(ids);
}

std::optional<std::string> Session::WhyNotResources(const v1::Grant& grant) const {
  bool any = false;
  for (const v1::GrantedResource& granted : grant.resources()) {
    if (!IsOurs(grant, granted)) continue;
    any = true;
    const std::string& id = granted.resource_id();
    const auto resource = resources_.find(id);
    if (resource == resources_.end()) return absl::StrCat("this agent has no ", id);
    if (resource->second.refused)
      return absl::StrCat("the controller refused ", id, ": ", *resource->second.refused);
    if (!resource->second.announcement.obstacle().empty())
      return absl::StrCat(id, " cannot be used: ", resource->second.announcement.obstacle());
    if (const auto user = UserOf(id)) return absl::StrCat(id, " is in use by attempt ", *user);
  }
  if (!any && grant.source() != 0)
    return absl::StrCat("nothing of this agent is granted as source ", grant.source());
  return std::nullopt;
}

}  // namespace joulefarm::agent
