// Farm: switchable ports. Which of them are one, what hangs on them, and who is without power.
#include "absl/strings/str_cat.h"
#include "controller/core/farm.h"

namespace joulefarm::controller {

namespace {

constexpr char kForPort[] = "waits for its port: ";

}  // namespace

// Where a port is: two that agents of one host say are in one place are one.
std::string Farm::KeyOfPort(const Resource& port) const {
  const auto agent = agents_.find(port.agent_id);
  if (port.place.empty() || agent == agents_.end() || agent->second.info.boot_id.empty())
    return port.id;
  return absl::StrCat(agent->second.info.boot_id, " ", port.place);
}

// It may have been found elsewhere, or its host started anew.
void Farm::PlacePort(const Resource& port) {
  if (port.kind != v1::RESOURCE_KIND_PORT) return;
  const std::string key = KeyOfPort(port);
  std::string& placed = port_keys_[port.id];
  if (placed == key) return;
  if (const auto before = ports_at_.find(placed); before != ports_at_.end()) {
    before->second.erase(port.id);
    if (before->second.empty()) ports_at_.erase(before);
  }
  placed = key;
  ports_at_[key].insert(port.id);
}

void Farm::HangOn(Device& device, const std::string& port) {
  if (const auto before = on_port_.find(device.port); before != on_port_.end()) {
    before->second.erase(device.id);
    if (before->second.empty()) on_port_.erase(before);
  }
  device.port = port;
  if (!port.empty()) on_port_[port].insert(device.id);
}

// It, and those that are in its place.
std::set<std::string> Farm::PortsAt(const std::string& port_id) const {
  const auto key = port_keys_.find(port_id);
  if (key == port_keys_.end()) return {port_id};  // nobody has announced it
  return ports_at_.at(key->second);
}

// The other devices on its port.
std::set<std::string> Farm::OnPortOf(const Device& device) const {
  std::set<std::string> others;
  if (device.port.empty()) return others;
  for (const std::string& port : PortsAt(device.port)) {
    if (const auto on = on_port_.find(port); on != on_port_.end())
      others.insert(on->second.begin(), on->second.end());
  }
  others.erase(device.id);
  return others;
}

// Why it is, or may be, without power; nullopt: nobody has its port cut.
std::optional<Trouble> Farm::PortTroubleOf(const Device& device) const {
  if (device.port.empty()) return std::nullopt;
  for (const std::string& id : PortsAt(device.port)) {
    const auto it = resources_.find(id);
    if (it == resources_.end() || it->second.alloc == v1::DEVICE_ALLOC_FREE) continue;
    const Resource& port = it->second;
    if (port.alloc == v1::DEVICE_ALLOC_DIRTY) {
      return Trouble{absl::StrCat("its port ", id, " may still be cut: agent ", port.agent_id,
                                  " has not said that it has power"),
                     Until::kPassed};
    }
    const auto attempt = attempts_.find(port.fence.value_or(0));
    if (attempt == attempts_.end() || attempt->second.device_id == device.id) continue;
    return Trouble{absl::StrCat("its port ", id, " is cut for device ", attempt->second.device_id,
                                " (attempt ", attempt->first, ")"),
                   UntilOver(attempt->first)};
  }
  return std::nullopt;
}

void Farm::AddPort(const Device& device, Gang& gang) const {
  const auto port = resources_.find(device.port);
  if (port == resources_.end()) {
    gang.Block(kForPort, {absl::StrCat("nobody has announced ", device.port), Until::kMended});
    return;
  }
  if (port->second.agent_id != device.agent_id) {
    gang.Block(kForPort, {absl::StrCat(device.port, " is agent ", port->second.agent_id,
                                       "'s, and only the device's own agent may cut it"),
                          Until::kMended});
    return;
  }
  if (const auto trouble = TroubleWith(port->second, device)) {
    gang.Block(kForPort, *trouble);
    return;
  }
  AddResource(device, port->second, "", gang);
}

}  // namespace joulefarm::controller
